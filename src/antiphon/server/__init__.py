"""The ASGI application: routes, handshake, limits, health, lifecycle."""
