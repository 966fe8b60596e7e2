"""Transports: how frames and audio reach a session."""
