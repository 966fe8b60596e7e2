"""When to try again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.remote.retry import retry_after, retry_delay

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@given(st.integers(0, 40), st.floats(0, 1, exclude_max=True))
def test_backoff_grows_to_a_bound_and_leaves_half_to_chance(retry: int, chance: float) -> None:
    delay = retry_delay(retry, None, chance)
    longest = min(0.2 * 2.0**retry, 4.0)
    assert longest / 2 <= delay <= longest


@given(st.floats(0, 1000), st.floats(0, 1, exclude_max=True))
def test_never_before_the_server_wants_it(seconds: float, chance: float) -> None:
    assert retry_delay(0, seconds, chance) >= seconds


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after-ms": "inf"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after(headers, NOW) == expected
