"""The wire: parsing and checking client events, building and encoding server events, errors, ids, dialects. Pure."""
