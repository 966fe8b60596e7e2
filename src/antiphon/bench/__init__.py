"""Measuring servers that speak the Realtime protocol, from outside, with real recordings at real-time pace."""
