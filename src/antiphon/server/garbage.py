"""Keeping Python's garbage collector from stopping the event loop.

A full collection looks at every object there is: 60 ms for the 165,000 that the server's imports leave, in which no
session is served. What stays for good is therefore taken out of its sight once the engines are loaded.
"""

from __future__ import annotations

import gc


def freeze_what_stays() -> None:
    """Collect garbage a last time, and let later collections leave alone what is there now."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def free_unloaded() -> None:
    """Collect what an unloaded engine left, which may be among what was to stay."""
    if gc.get_freeze_count():
        freeze_what_stays()
