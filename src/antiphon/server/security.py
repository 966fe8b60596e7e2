"""Who may come in: API keys, and which web pages. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from antiphon.config.addresses import is_loopback

KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set headers on a WebSocket, so they send their key as a subprotocol with this prefix."""

REALTIME_SUBPROTOCOL = "realtime"


def credentials(headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> list[str]:
    """Return every API key that a request brings: `Authorization: Bearer`, Azure's `api-key`, the subprotocol."""
    found = []
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        found.append(token.strip())
    if key := headers.get("api-key", "").strip():
        found.append(key)
    found += [name.removeprefix(KEY_SUBPROTOCOL) for name in subprotocols if name.startswith(KEY_SUBPROTOCOL)]
    return found


def chosen_subprotocol(offered: Sequence[str]) -> str | None:
    """Return the subprotocol to answer with: `realtime` if it was offered. The key is never echoed."""
    return REALTIME_SUBPROTOCOL if REALTIME_SUBPROTOCOL in offered else None


class ApiKeys:
    """The keys that open the server. Only their SHA-256 is kept; with no keys at all everyone may come in."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def admit(self, credential: str) -> bool:
        """Return whether `credential` is one of the keys, in a time that tells nothing about them."""
        given = _digest(credential)
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return any(matches)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class OriginPolicy:
    """Which web pages may use a server that has no API keys.

    A browser lets any page open a WebSocket to this machine, so without keys the page's own origin has to be
    trusted: this machine's, the server's own address, or one of `allowed` ("*" for all). Other programs send no
    origin and are let in. A page counts as the server's own only at an IP address: a name in `Host` may be one that
    an attacker made point here (DNS rebinding).
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    def admit(self, origin: str | None, host: str | None) -> bool:
        """Return whether a request with these `Origin` and `Host` headers may come in."""
        if origin is None or "*" in self._allowed or origin.lower() in self._allowed:
            return True
        try:
            page = urlsplit(origin)
            name = page.hostname
        except ValueError:
            return False
        if page.scheme not in ("http", "https") or name is None:
            return False
        return is_loopback(name) or (_is_address(name) and page.netloc == host)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
