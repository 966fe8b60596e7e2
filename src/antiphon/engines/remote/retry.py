"""When to try again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_FIRST_S = 0.2
_LONGEST_S = 4.0


def retry_delay(retry: int, retry_after_s: float | None, chance: float) -> float:
    """Return how long to wait, in s, before retry number `retry` (from 0).

    Exponential backoff with "equal jitter": half of the wait is fixed, half is left to chance. A server that said when
    to come back is taken at its word.

    Args:
        retry: retries made before.
        retry_after_s: what the server asked for, in s.
        chance: evenly distributed in [0, 1).
    """
    longest: float = min(_FIRST_S * 2.0**retry, _LONGEST_S)
    delay = longest / 2 * (1 + chance)
    return delay if retry_after_s is None else max(retry_after_s, 0.0) + delay * chance / 2


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of `Retry-After` (RFC 9110, 10.2.3) or `retry-after-ms`; None without or with a senseless one.

    Args:
        headers: of the response, found by lower-case name.
        now: Unix time, s.
    """
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif "retry-after" not in headers:
            return None
        elif headers["retry-after"].strip().replace(".", "", 1).isdecimal():
            seconds = float(headers["retry-after"])
        else:
            seconds = parsedate_to_datetime(headers["retry-after"]).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0) if seconds < float("inf") else None
