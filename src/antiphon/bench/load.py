"""Many sessions at once, in a process of their own: `python -m antiphon.bench.load '{…}'`.

Prints the line "ready" when all sessions are open, and at the end one line of JSON with what they saw. The key for the
server is taken from the environment (`OPENAI_API_KEY`).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from antiphon.bench.connection import BenchError, Target
from antiphon.bench.conversation import Conversation, SessionSetup, open_conversation
from antiphon.bench.corpus import Recording, load_recordings
from antiphon.bench.figures import percentile, summary
from antiphon.bench.turn import Turn

_OPEN_AT_ONCE = 16
_BETWEEN_TURNS_S = (0.5, 2.0)
"""Shortest and longest that a person thinks between an answer and the next thing said."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What the sessions do.

    Attributes:
        url: of the server's endpoint.
        sessions: how many.
        seconds: how long they talk once all are open.
        chunk_ms: length of the chunks that they send.
        recordings: directory of what they say.
    """

    url: str
    sessions: int
    seconds: float
    chunk_ms: int
    recordings: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the sessions saw: figures in ms.

    Attributes:
        turns: how many were answered or given up.
        unanswered: how many were given up.
        stopped_to_audio_ms: from speech_stopped to the answer's first audio.
        client_late_p99_ms: how late this client was with a chunk.
        broken: why sessions broke, if any did.
    """

    turns: int
    unanswered: int
    stopped_to_audio_ms: dict[str, float]
    client_late_p99_ms: float
    broken: list[str]


async def carry_load(plan: LoadPlan, api_key: str | None) -> LoadResult:
    """Hold the sessions.

    Raises:
        BenchError: a session cannot be opened.
        AudioFileError: the recordings cannot be read.
    """
    recordings = load_recordings(Path(plan.recordings))
    setup = SessionSetup(transcribe=False, chunk_ms=plan.chunk_ms)
    async with _open_all(Target(plan.url, api_key), setup, plan.sessions) as conversations:
        _tell("ready")
        for conversation in conversations:
            conversation.microphone.lateness_s.clear()
        turns: list[Turn] = []
        talks = [asyncio.create_task(_talk(one, recordings, seed, turns)) for seed, one in enumerate(conversations)]
        await asyncio.sleep(plan.seconds)
        for talk in talks:
            talk.cancel()
        endings = await asyncio.gather(*talks, return_exceptions=True)
        broken = [str(ending) for ending in endings if isinstance(ending, BenchError)]
        late = [lateness for one in conversations for lateness in one.microphone.lateness_s]
        return LoadResult(
            turns=len(turns),
            unanswered=sum(turn.stopped_to_audio is None for turn in turns),
            stopped_to_audio_ms=dict(summary(turn.stopped_to_audio for turn in turns)),
            client_late_p99_ms=round(percentile(late, 99) * 1000, 1) if late else 0.0,
            broken=broken,
        )


async def _talk(conversation: Conversation, recordings: Sequence[Recording], seed: int, turns: list[Turn]) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same load every time
    while True:
        await asyncio.sleep(chance.uniform(*_BETWEEN_TURNS_S))
        turns.append(await conversation.turn(chance.choice(recordings)))


@asynccontextmanager
async def _open_all(target: Target, setup: SessionSetup, count: int) -> AsyncIterator[list[Conversation]]:
    gate = asyncio.Semaphore(_OPEN_AT_ONCE)
    async with AsyncExitStack() as stack:

        async def one() -> Conversation:
            async with gate:
                return await stack.enter_async_context(open_conversation(target, setup))

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one()) for _ in range(count)]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        yield [task.result() for task in tasks]


def main(arguments: Sequence[str]) -> None:
    """Carry the load that the only argument describes; a server that cannot be had is told in one line, with code 1."""
    plan = LoadPlan(**json.loads(arguments[0]))
    try:
        result = _run(carry_load(plan, os.environ.get("OPENAI_API_KEY")))
    except BenchError as error:
        sys.exit(str(error))
    _tell(json.dumps(asdict(result)))


def _run(work: Coroutine[Any, Any, LoadResult]) -> LoadResult:
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415 - not on Windows

    return uvloop.run(work)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
