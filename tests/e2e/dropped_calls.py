"""A program that calls a server ten times at once and drops every call at a random moment: base URL and seed.

Seven calls are dropped once they are connected, however long a busy machine takes for that; the moments of the others
are random from the start. Half of the calls are hung up, the others end with the process, without a word.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from tests.calling import Caller, loud

CONNECTED = 7


async def call_and_drop(base_url: str, number: int, chance: random.Random) -> None:
    caller = Caller()
    patience_s, wait_s, hangs_up = chance.uniform(0.0, 2.0), chance.uniform(0.0, 1.0), chance.random() < 0.5
    try:
        async with asyncio.timeout(None if number < CONNECTED else patience_s) as dropping:
            await asyncio.sleep(wait_s)
            await caller.connect(base_url)
            caller.send({"type": "response.create"})
            caller.microphone.say(loud(chance.uniform(0.1, 0.5)))
            if number < CONNECTED:
                dropping.reschedule(asyncio.get_running_loop().time() + patience_s / 2)
            await asyncio.sleep(5)
    except TimeoutError:
        if hangs_up:
            await caller.close()


async def main(base_url: str, seed: int) -> None:
    chance = random.Random(seed)
    await asyncio.gather(*(call_and_drop(base_url, number, chance) for number in range(10)))
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
