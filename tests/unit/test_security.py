"""API keys and origins."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.server.security import ApiKeys, OriginPolicy, chosen_subprotocol, credentials


@given(st.lists(st.text(min_size=1), min_size=1), st.text())
def test_only_the_keys_open(keys: list[str], other: str) -> None:
    lock = ApiKeys(keys)
    assert all(lock.admit(key) for key in keys)
    assert lock.admit(other) is (other in keys)


def test_without_keys_there_is_no_lock() -> None:
    assert not ApiKeys([])
    assert ApiKeys(["k"])


def test_every_place_of_a_key() -> None:
    assert credentials({"authorization": "Bearer abc"}) == ["abc"]
    assert credentials({"authorization": "bearer  abc "}) == ["abc"]
    assert credentials({"api-key": "def"}) == ["def"]
    assert credentials({}, ["realtime", "openai-insecure-api-key.ghi", "openai-project.p"]) == ["ghi"]
    assert credentials({"authorization": "Basic abc"}) == []
    assert credentials({"authorization": "Bearer"}) == []
    assert credentials({}) == []


def test_the_answer_to_subprotocols_is_realtime_or_none() -> None:
    assert chosen_subprotocol(["openai-insecure-api-key.k", "realtime"]) == "realtime"
    assert chosen_subprotocol(["openai-insecure-api-key.k"]) is None
    assert chosen_subprotocol([]) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "anything.example"),
        ("http://localhost:5173", "127.0.0.1:8080"),
        ("http://app.localhost", "127.0.0.1:8080"),
        ("https://127.0.0.1", "127.0.0.1:8080"),
        ("http://[::1]:3000", "[::1]:8080"),
        ("http://192.168.1.7:8080", "192.168.1.7:8080"),
        ("https://app.example.com", "127.0.0.1:8080"),
        ("HTTPS://APP.EXAMPLE.COM", "127.0.0.1:8080"),
    ],
)
def test_origins_that_may_come_in(origin: str | None, host: str) -> None:
    assert OriginPolicy(["https://app.example.com"]).admit(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "127.0.0.1:8080"),
        ("https://app.example.com.evil.example", "127.0.0.1:8080"),
        ("http://app.example.com", "127.0.0.1:8080"),
        ("http://localhost.evil.example", "127.0.0.1:8080"),
        ("http://rebound.evil.example:8080", "rebound.evil.example:8080"),
        ("http://192.168.1.7:9000", "192.168.1.7:8080"),
        ("null", "127.0.0.1:8080"),
        ("file://", "127.0.0.1:8080"),
        ("chrome-extension://localhost", "127.0.0.1:8080"),
        ("http://[::1", "127.0.0.1:8080"),
        ("", "127.0.0.1:8080"),
    ],
)
def test_origins_that_may_not(origin: str, host: str) -> None:
    assert not OriginPolicy(["https://app.example.com"]).admit(origin, host)


@given(st.text(alphabet=string.printable))
def test_everything_comes_in_when_all_are_allowed(origin: str) -> None:
    assert OriginPolicy(["*"]).admit(origin, None)


@given(st.text(), st.one_of(st.none(), st.text()))
def test_no_origin_breaks_the_policy(origin: str, host: str | None) -> None:
    assert OriginPolicy([]).admit(origin, host) in (True, False)
