"""Percentiles of what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

PERCENTILES = (50, 90, 95, 99)

PERCENTILE_COLUMNS = (*(f"p{percent}" for percent in PERCENTILES), "max")
"""Headings of what `percentiles` returns, less the last, which is a count."""


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the percentile of `values` by the nearest rank: a value that was measured, not one between two.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(math.ceil(percent / 100 * len(values)), 1) - 1]


def summary(values: Iterable[float | None]) -> Mapping[str, float]:
    """Return count, p50 to p99, least and most of the values that are not None; the count alone if there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return {"count": 0}
    figures = {f"p{percent}": round(percentile(known, percent), 1) for percent in PERCENTILES}
    return {"count": len(known), **figures, "min": round(min(known), 1), "max": round(max(known), 1)}


def percentiles(found: Mapping[str, float]) -> tuple[float | None, ...]:
    """Return the figures of a summary under `PERCENTILE_COLUMNS`, then the count."""
    return (*(found.get(column) for column in PERCENTILE_COLUMNS), found["count"])
