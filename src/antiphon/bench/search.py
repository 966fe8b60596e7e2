"""Looking for the largest number that still works, with few tries. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_CLOSE_ENOUGH = 1.1
"""The answer is known when the least that failed is within a tenth of the most that worked."""


def next_try(tried: Mapping[int, bool], first: int, most: int) -> int | None:
    """Return the number to try next, or None when the largest that works is known well enough.

    Doubles from `first` until one fails or `most` works, then halves the interval. If even `first` fails, it goes down.

    Args:
        tried: whether each number tried so far worked.
        first: where to begin.
        most: not to be exceeded.
    """
    if not tried:
        return min(first, most)
    works = max((number for number, worked in tried.items() if worked), default=0)
    fails = min((number for number, worked in tried.items() if not worked and number > works), default=None)
    if fails is None:
        return min(works * 2, most) if works < most else None
    if fails <= max(works * _CLOSE_ENOUGH, works + 1):
        return None
    return (works + fails) // 2


def largest(tried: Mapping[int, bool]) -> int:
    """Return the largest number that worked; 0 if none did."""
    return max((number for number, worked in tried.items() if worked), default=0)
