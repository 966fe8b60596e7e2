"""Ids as the real service makes them: a prefix and 21 base62 characters (16 after `call_`)."""

from __future__ import annotations

import os
import string
from typing import Literal

_BASE62 = (string.ascii_uppercase + string.ascii_lowercase + string.digits).encode()
_BYTE_TO_BASE62 = bytes(_BASE62[byte % 62] for byte in range(256))

IdPrefix = Literal["event", "item", "resp", "conv", "sess", "call"]


def random_base62(length: int) -> str:
    """Return `length` unguessable base62 characters, 5.95 bits of entropy each."""
    return os.urandom(length).translate(_BYTE_TO_BASE62).decode("ascii")


def new_id(prefix: IdPrefix) -> str:
    """Return a fresh unguessable id such as `item_E6U0xtb4IYeT9FSp0z1Dm`."""
    return f"{prefix}_{random_base62(16 if prefix == 'call' else 21)}"
