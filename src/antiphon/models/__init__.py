"""Models on disk: the catalog, where they come from, fetching, verifying, caching."""
