"""Client secrets: how long they are valid, what they open, and what is kept of them."""

from __future__ import annotations

import hashlib
import hmac
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.protocol.errors import ProtocolError
from antiphon.server import client_secrets
from antiphon.server.client_secrets import PREFIX, ClientSecrets

SESSION = {"type": "realtime", "instructions": "Sing."}


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_secret_opens_what_was_bound_until_it_expires() -> None:
    clock = Clock()
    secrets = ClientSecrets(clock)
    value, secret = secrets.create(SESSION, 10)
    assert secret.expires_at == 1_000_010
    for now in (1_000_000.0, 1_000_009.9):
        clock.now = now
        found = secrets.find(value)
        assert found is secret, "as often as it is used"
        assert found.session == SESSION
    clock.now = 1_000_010.0
    assert secrets.find(value) is None
    clock.now = 1_000_000.0
    assert secrets.find(value) is None, "it is gone, not only refused"


def test_what_has_expired_is_forgotten_when_anything_is_asked() -> None:
    clock = Clock()
    secrets = ClientSecrets(clock)
    for seconds in (30, 10, 20):
        secrets.create(SESSION, seconds)
    clock.now += 20
    assert secrets.find("ek_nonsense") is None
    assert len(secrets) == 1


@given(st.lists(st.integers(10, 7200), max_size=20), st.integers(0, 8000))
def test_exactly_those_are_valid_that_have_not_expired(lifetimes: list[int], later: int) -> None:
    clock = Clock()
    secrets = ClientSecrets(clock)
    made = [(secrets.create(SESSION, seconds)[0], seconds) for seconds in lifetimes]
    clock.now += later
    assert [secrets.find(value) is not None for value, _ in made] == [seconds > later for _, seconds in made]
    assert len(secrets) == sum(seconds > later for seconds in lifetimes)


def test_secrets_are_long_and_all_different() -> None:
    secrets = ClientSecrets()
    values = {secrets.create(SESSION, 10)[0] for _ in range(100)}
    assert len(values) == 100
    for value in values:
        assert value.startswith(PREFIX)
        assert len(value) == len(PREFIX) + 40
        assert set(value.removeprefix(PREFIX)) <= set(string.ascii_letters + string.digits)


@pytest.mark.parametrize("spoil", [str.upper, lambda value: value[:-1], lambda value: value + "x", lambda value: ""])
def test_what_is_no_secret_opens_nothing(spoil: Any) -> None:
    secrets = ClientSecrets()
    value, _ = secrets.create(SESSION, 10)
    assert secrets.find(spoil(value)) is None
    assert secrets.find(value) is not None


def test_bytes_that_are_no_text_open_nothing() -> None:
    assert ClientSecrets().find("ek_\udcff") is None


def test_the_secret_itself_is_not_kept() -> None:
    secrets = ClientSecrets()
    value, secret = secrets.create(SESSION, 10)
    assert secret.digest == hashlib.sha256(value.encode()).digest()
    assert value not in repr(vars(secrets))


def test_all_of_the_digest_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Comparing:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(client_secrets, "hmac", Comparing)
    # Only the half that finds an entry agrees, as it would for someone who could search for such a value.
    real = client_secrets._digest
    monkeypatch.setattr(client_secrets, "_digest", lambda value: real("")[:16] + real(value)[16:])
    secrets = ClientSecrets()
    value, secret = secrets.create(SESSION, 10)
    assert secrets.find("ek_other") is None
    assert secrets.find(value) is secret
    assert [len(given) for pair in compared for given in pair] == [32] * 4


def test_too_many_are_refused_until_some_have_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MAX_SECRETS", 3)
    clock = Clock()
    secrets = ClientSecrets(clock)
    values = [secrets.create(SESSION, 10 + number)[0] for number in range(3)]
    with pytest.raises(ProtocolError) as refused:
        secrets.create(SESSION, 10)
    assert refused.value.code == "rate_limit_exceeded"
    assert all(secrets.find(value) for value in values)
    clock.now += 10
    secrets.create(SESSION, 10)
    assert len(secrets) == 3


def test_what_is_bound_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MAX_BYTES", 2500)
    clock = Clock()
    secrets = ClientSecrets(clock)
    large = {"type": "realtime", "instructions": "x" * 1000}
    secrets.create(large, 10)
    secrets.create(large, 20)
    with pytest.raises(ProtocolError):
        secrets.create(large, 10)
    secrets.create(SESSION, 10)
    clock.now += 10
    secrets.create(large, 10)
    assert len(secrets) == 2
