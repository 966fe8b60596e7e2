"""Engines on servers that speak OpenAI's HTTP API."""
