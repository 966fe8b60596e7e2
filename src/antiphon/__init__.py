"""Antiphon: a realtime voice server that speaks the OpenAI Realtime protocol on models of your choice."""

from importlib.metadata import version

__version__ = version("antiphon")
