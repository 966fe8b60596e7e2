"""Time limits and retries of remote calls, and what their errors mean."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import httpx2
import openai
import pytest

from antiphon.engines.base import EngineError
from antiphon.engines.remote.calls import RemoteCalls, RemoteOptions
from antiphon.engines.remote.errors import RemoteError, remote_error, status_error
from tests.skipping_time import skipping_time

REQUEST = httpx2.Request("POST", "http://server/v1")
FAILURE = httpx2.ReadError("gone", request=REQUEST)

Attempt = Callable[[], AsyncGenerator[str | None, None]]


@pytest.fixture(autouse=True)
async def _patience_is_no_matter_of_the_machine() -> AsyncIterator[None]:
    with skipping_time():
        yield


def calls(key: str | None = None, **options: Any) -> RemoteCalls:
    patience = {"first_timeout_s": 5.0, "stall_timeout_s": 5.0}
    return RemoteCalls("engine", RemoteOptions(base_url="http://server/v1", **{**patience, **options}), key)


def attempts(*scripts: list[Any]) -> tuple[Attempt, list[str]]:
    """Return what goes through `scripts`, one for each attempt, and a list of how the attempts ended."""
    left, ends = list(scripts), []

    async def attempt() -> AsyncGenerator[str | None, None]:
        script = left.pop(0)
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
            ends.append("end")
        except BaseException as error:
            ends.append(type(error).__name__)
            raise

    return attempt, ends


async def collect(remote: RemoteCalls, attempt: Attempt) -> list[str]:
    async with aclosing(remote.stream(attempt)) as pieces:
        return [piece async for piece in pieces]


async def test_it_tries_again_until_something_came() -> None:
    attempt, ends = attempts([FAILURE], [None, None, FAILURE], ["a", None, "b"])
    remote = calls()
    assert await collect(remote, attempt) == ["a", "b"]
    assert ends == ["ReadError", "ReadError", "end"]
    assert remote.load().running == 0


async def test_it_does_not_try_again_after_something_came() -> None:
    attempt, ends = attempts(["a", FAILURE], ["b"])
    with pytest.raises(RemoteError):
        await collect(calls(), attempt)
    assert ends == ["ReadError"]


async def test_it_tries_only_so_often() -> None:
    attempt, ends = attempts(*[[FAILURE]] * 5)
    with pytest.raises(RemoteError):
        await collect(calls(retries=1), attempt)
    assert len(ends) == 2


async def test_a_retry_that_would_come_too_late_is_not_waited_for() -> None:
    busy = RemoteError("busy", retryable=True, retry_after_s=100.0)
    attempt, ends = attempts([busy], ["a"])
    async with asyncio.timeout(4):
        with pytest.raises(RemoteError, match="busy"):
            await collect(calls(), attempt)
    assert ends == ["RemoteError"]


async def test_errors_of_the_request_are_not_retried() -> None:
    attempt, ends = attempts([EngineError("no such voice", code="unsupported")], ["a"])
    with pytest.raises(EngineError, match="no such voice"):
        await collect(calls(), attempt)
    assert len(ends) == 1


async def test_retries_share_the_time_to_the_first_piece() -> None:
    attempt, ends = attempts([FAILURE], [60.0])
    with pytest.raises(RemoteError) as error:
        await collect(calls(first_timeout_s=0.5), attempt)
    assert error.value.code == "timeout"
    assert error.value.message == "engine did not begin to answer within 0.5 s"
    assert ends == ["ReadError", "CancelledError"]


async def test_a_stream_that_stalls() -> None:
    attempt, ends = attempts(["a", 60.0])
    with pytest.raises(RemoteError) as error:
        await collect(calls(stall_timeout_s=0.05), attempt)
    assert error.value.message == "engine did not go on within 0.05 s"
    assert ends == ["CancelledError"]


@pytest.mark.parametrize("answer", [[], ["a"]])
async def test_signs_of_life_are_no_answer(answer: list[str]) -> None:
    attempt, ends = attempts([*answer, *[None, 0.01] * 1000])
    with pytest.raises(RemoteError) as error:
        await collect(calls(first_timeout_s=0.05, retries=0), attempt)
    assert error.value.code == "timeout"
    assert error.value.message == "engine gave signs of life but no answer within 0.3 s"
    assert ends == ["CancelledError"]


async def test_an_answer_may_come_after_signs_of_life() -> None:
    attempt, _ = attempts([*[None, 0.03] * 10, "a", *[None, 0.03] * 10, "b"])
    assert await collect(calls(first_timeout_s=0.2), attempt) == ["a", "b"]


async def test_the_reader_may_take_its_time() -> None:
    attempt, _ = attempts(["a", "b"])
    got = []
    async with aclosing(calls(stall_timeout_s=0.05).stream(attempt)) as pieces:
        async for piece in pieces:
            got.append(piece)
            await asyncio.sleep(0.15)
    assert got == ["a", "b"]


async def test_closing_closes_the_attempt() -> None:
    attempt, ends = attempts(["a", "b"])
    remote = calls()
    pieces = remote.stream(attempt)
    assert await anext(pieces) == "a"
    assert remote.load().running == 1
    await pieces.aclose()
    assert ends == ["GeneratorExit"]
    assert remote.load().running == 0


async def test_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    attempt, _ = attempts([RemoteError("refused", detail="key sk-secret is wrong")])
    with caplog.at_level(logging.DEBUG), pytest.raises(RemoteError):
        await collect(calls(key="sk-secret"), attempt)
    assert "key [key] is wrong" in caplog.text
    assert "sk-secret" not in caplog.text


def answer(status: int, body: Any = None, headers: dict[str, str] | None = None) -> RemoteError:
    return status_error("engine", httpx2.Response(status, headers=headers, request=REQUEST), body)


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (answer(401), "engine_refused", False),
        (answer(404), "engine_refused", False),
        (answer(408), "engine_failed", True),
        (answer(429), "rate_limited", True),
        (answer(429, {"error": {"code": "insufficient_quota"}}), "engine_refused", False),
        (answer(503), "engine_failed", True),
        (answer(400, {"code": "context_length_exceeded", "message": "too long"}), "context_length_exceeded", False),
        (answer(400, {"error": {"code": 400, "type": "exceed_context_size_error"}}), "context_length_exceeded", False),
        (answer(400, {"message": "the model's maximum context length is 4096"}), "context_length_exceeded", False),
        (answer(400, {"error": {"code": "content_filter"}}), "content_filter", False),
        (answer(422, {"detail": [{"msg": "field required"}]}), "engine_refused", False),
        (answer(400, {"detail": {"status": "max_character_limit_exceeded", "message": "x"}}), "engine_refused", False),
        (remote_error("engine", httpx2.ConnectError("refused")), "engine_unavailable", True),
        (remote_error("engine", httpx2.ConnectTimeout("slow")), "engine_unavailable", True),
        (remote_error("engine", httpx2.RemoteProtocolError("cut")), "engine_failed", True),
        (remote_error("engine", openai.APITimeoutError(REQUEST)), "engine_failed", True),
        (remote_error("engine", openai.APIError("boom", REQUEST, body={"message": "boom"})), "engine_failed", True),
        (remote_error("engine", json.JSONDecodeError("bad", "", 0)), "engine_failed", True),
        (remote_error("engine", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")), "engine_failed", True),
    ],
)
def test_what_errors_mean(error: RemoteError, code: str, retryable: bool) -> None:
    assert (error.code, error.retryable) == (code, retryable)


def test_what_servers_say_is_only_in_the_detail() -> None:
    error = answer(401, {"error": {"message": "Incorrect API key provided: sk-…abc", "code": "invalid_api_key"}})
    assert error.message == "engine refused the request (HTTP 401)"
    assert error.detail == "HTTP 401: Incorrect API key provided: sk-…abc"
    assert len(answer(400, {"message": "x" * 10_000}).detail) <= 300


def test_when_to_come_back() -> None:
    assert answer(503, headers={"Retry-After": "3"}).retry_after_s == 3.0
    assert answer(429, headers={"retry-after-ms": "1500"}).retry_after_s == 1.5
    assert answer(429).retry_after_s is None
