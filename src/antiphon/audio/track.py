"""Consecutive samples addressed by absolute index, of which old ones can be dropped. Pure."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", np.int16, np.float32)


class Track(Generic[T]):
    """A growing stretch of samples.

    Args:
        dtype: numpy.int16 or numpy.float32.
        start: absolute index of the first sample that will be appended.
    """

    def __init__(self, dtype: type[T], start: int = 0) -> None:
        self._dtype: type[T] = dtype
        self._chunks: deque[NDArray[T]] = deque()
        self._start = start
        self._end = start

    @property
    def start(self) -> int:
        """Absolute index of the oldest sample kept."""
        return self._start

    @property
    def end(self) -> int:
        """Absolute index after the newest sample."""
        return self._end

    def append(self, samples: NDArray[T]) -> None:
        """Add samples at the end. They are kept, not copied."""
        if len(samples):
            self._chunks.append(samples)
            self._end += len(samples)

    def slice(self, start: int, end: int) -> NDArray[T]:
        """Return the samples from `start` up to `end`, as far as they are kept."""
        pieces: list[NDArray[T]] = []
        after = self._end
        for chunk in reversed(self._chunks):  # what is asked for lies at the end nearly always
            if after <= start:
                break
            position = after - len(chunk)
            if position < end:
                pieces.append(chunk[max(start - position, 0) : max(end - position, 0)])
            after = position
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces[::-1]) if pieces else np.zeros(0, self._dtype)

    def drop_before(self, index: int) -> None:
        """Forget samples before `index`."""
        while self._chunks and self._start + len(self._chunks[0]) <= index:
            self._start += len(self._chunks.popleft())
        if self._chunks and self._start < index:
            self._chunks[0] = self._chunks[0][index - self._start :].copy()
            self._start = index
        if not self._chunks:
            self._start = self._end
