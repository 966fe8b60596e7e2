"""Ids as the real service makes them: a prefix and 21 base62 characters (16 after `call_`)."""

from __future__ import annotations

import secrets
import string
from typing import Literal

_BASE62 = string.ascii_uppercase + string.ascii_lowercase + string.digits

IdPrefix = Literal["event", "item", "resp", "conv", "sess", "call"]


def new_id(prefix: IdPrefix) -> str:
    """Return a fresh unguessable id such as `item_E6U0xtb4IYeT9FSp0z1Dm`."""
    length = 16 if prefix == "call" else 21
    return f"{prefix}_" + "".join(secrets.choice(_BASE62) for _ in range(length))
