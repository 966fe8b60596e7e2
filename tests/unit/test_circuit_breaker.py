"""The circuit breaker: when it lets calls through."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.engines.circuit_breaker import CircuitBreaker


def opened(breaker: CircuitBreaker, now: float) -> CircuitBreaker:
    for _ in range(3):
        ticket = breaker.admit(now)
        assert ticket is not None
        breaker.failed(ticket, now)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = CircuitBreaker(failures=3, rest_s=30)
    for outcome in ("failed", "failed", "succeeded", "failed", "failed"):
        ticket = breaker.admit(0.0)
        assert ticket is not None
        breaker.failed(ticket, 0.0) if outcome == "failed" else breaker.succeeded(ticket)
        assert breaker.state(0.0) == "closed"
    ticket = breaker.admit(1.0)
    assert ticket is not None
    breaker.failed(ticket, 1.0)
    assert breaker.state(1.0) == "open"
    assert breaker.admit(30.9) is None


def test_one_call_tries_after_the_rest() -> None:
    breaker = opened(CircuitBreaker(failures=3, rest_s=30), 0.0)
    assert breaker.state(30.0) == "half_open"
    trial = breaker.admit(30.0)
    assert trial is not None
    assert breaker.admit(30.0) is None
    breaker.succeeded(trial)
    assert breaker.state(30.0) == "closed"


def test_a_failed_trial_opens_it_again() -> None:
    breaker = opened(CircuitBreaker(failures=3, rest_s=30), 0.0)
    trial = breaker.admit(40.0)
    assert trial is not None
    breaker.failed(trial, 45.0)
    assert breaker.admit(74.0) is None
    assert breaker.admit(75.0) is not None


def test_an_abandoned_trial_leaves_the_place_to_the_next() -> None:
    breaker = opened(CircuitBreaker(failures=3, rest_s=30), 0.0)
    trial = breaker.admit(30.0)
    assert trial is not None
    breaker.abandoned(trial)
    assert breaker.admit(30.0) is not None


def test_late_outcomes_of_earlier_calls_count_for_nothing() -> None:
    breaker = CircuitBreaker(failures=3, rest_s=30)
    slow = breaker.admit(0.0)
    assert slow is not None
    opened(breaker, 0.0)
    breaker.succeeded(slow)
    assert breaker.state(1.0) == "open"
    trial = breaker.admit(30.0)
    assert trial is not None
    breaker.failed(slow, 30.0)
    breaker.abandoned(slow)
    assert breaker.admit(30.0) is None
    breaker.succeeded(trial)
    assert breaker.state(30.0) == "closed"


def test_tripped_it_opens_at_once() -> None:
    breaker = CircuitBreaker(rest_s=10)
    breaker.trip(5.0)
    assert breaker.admit(14.9) is None
    assert breaker.admit(15.0) is not None


class Calls(RuleBasedStateMachine):
    """Any calls with any outcomes at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker(failures=2, rest_s=10)
        self.now = 0.0
        self.running: list[tuple[int, str]] = []

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        state = self.breaker.state(self.now)
        ticket = self.breaker.admit(self.now)
        if ticket is None:
            assert state != "closed"
        else:
            assert state != "open"
            self.running.append((ticket, state))

    @precondition(lambda self: self.running)
    @rule(outcome=st.sampled_from(["succeeded", "failed", "abandoned"]), which=st.integers(0, 100))
    def end(self, outcome: str, which: int) -> None:
        ticket, _ = self.running.pop(which % len(self.running))
        if outcome == "failed":
            self.breaker.failed(ticket, self.now)
        elif outcome == "succeeded":
            self.breaker.succeeded(ticket)
        else:
            self.breaker.abandoned(ticket)

    @invariant()
    def calls_come_through_once_all_have_ended(self) -> None:
        if not self.running:
            assert self.breaker.state(self.now + 10) != "open"

    @invariant()
    def only_one_tries(self) -> None:
        current = [ticket for ticket, state in self.running if state == "half_open"]
        assert len(current) == len(set(current))


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=50, deadline=None)
