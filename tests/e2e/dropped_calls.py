"""A program that calls a server ten times at once and drops every call at a random moment: base URL and seed.

Half of the calls are hung up, the others end with the process, without a word.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from tests.calling import Caller, loud


async def call_and_drop(base_url: str, chance: random.Random) -> None:
    caller = Caller()
    try:
        async with asyncio.timeout(chance.uniform(0.0, 2.0)):
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            await caller.connect(base_url)
            caller.send({"type": "response.create"})
            caller.microphone.say(loud(chance.uniform(0.1, 0.5)))
            await asyncio.sleep(5)
    except TimeoutError:
        if chance.random() < 0.5:
            await caller.close()


async def main(base_url: str, seed: int) -> None:
    chance = random.Random(seed)
    await asyncio.gather(*(call_and_drop(base_url, chance) for _ in range(10)))
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
