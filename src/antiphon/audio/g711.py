"""G.711 µ-law and A-law, by table lookup.

The tables follow the reference code of ITU-T G.191 (Software Tool Library, module g711), which realises ITU-T
G.711 on 16-bit samples: negative values are folded by one's complement, so that both laws are symmetric.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

_MULAW_BIAS = 33
"""Added to the 14-bit magnitude so that segment edges are powers of two (G.711, table 2)."""


def _mulaw_encoding() -> NDArray[np.uint8]:
    linear = np.arange(-32768, 32768, dtype=np.int32)
    magnitude = np.minimum((np.where(linear < 0, ~linear, linear) >> 2) + _MULAW_BIAS, 0x1FFF)
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 4
    code = ((8 - segment) << 4) | (15 - ((magnitude >> segment) & 0x0F))
    table: NDArray[np.uint8] = np.where(linear >= 0, code | 0x80, code).astype(np.uint8)
    return table


def _mulaw_decoding() -> Pcm:
    code = np.arange(256, dtype=np.int32)
    exponent = (~code >> 4) & 0x07
    step = 8 << exponent
    linear = (0x80 << exponent) + step * (~code & 0x0F) + step // 2 - 4 * _MULAW_BIAS
    table: Pcm = np.where(code < 0x80, -linear, linear).astype(np.int16)
    return table


def _alaw_encoding() -> NDArray[np.uint8]:
    linear = np.arange(-32768, 32768, dtype=np.int32)
    magnitude = np.where(linear < 0, ~linear, linear) >> 4
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 3, 0)
    code = np.where(exponent > 0, (magnitude >> np.maximum(exponent - 1, 0)) - 16 + (exponent << 4), magnitude)
    return (np.where(linear >= 0, code | 0x80, code) ^ 0x55).astype(np.uint8)


def _alaw_decoding() -> Pcm:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent = (code >> 4) & 0x07
    mantissa = (code & 0x0F) + np.where(exponent > 0, 16, 0)
    linear = ((mantissa << 4) + 8) << np.maximum(exponent - 1, 0)
    table: Pcm = np.where(code & 0x80, linear, -linear).astype(np.int16)
    return table


# Encoding tables are indexed by the sample's bits read as uint16, so negative samples are the upper half.
_MULAW_ENCODE = np.roll(_mulaw_encoding(), -32768)
_ALAW_ENCODE = np.roll(_alaw_encoding(), -32768)
_MULAW_DECODE = _mulaw_decoding()
_ALAW_DECODE = _alaw_decoding()


def mulaw_encode(samples: Pcm) -> bytes:
    """Return one µ-law byte for each sample (int16[n])."""
    return _MULAW_ENCODE[samples.view(np.uint16)].tobytes()


def mulaw_decode(data: bytes) -> Pcm:
    """Return int16[n] for n µ-law bytes."""
    return _MULAW_DECODE.take(np.frombuffer(data, np.uint8))


def alaw_encode(samples: Pcm) -> bytes:
    """Return one A-law byte for each sample (int16[n])."""
    return _ALAW_ENCODE[samples.view(np.uint16)].tobytes()


def alaw_decode(data: bytes) -> Pcm:
    """Return int16[n] for n A-law bytes."""
    return _ALAW_DECODE.take(np.frombuffer(data, np.uint8))
