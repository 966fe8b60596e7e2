"""Text that is rewritten step by step and still knows what each of its characters was made of. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Piece = str | int
"""Part of a replacement: new characters, which say the whole match, or the number of a group, which stays as it is."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A text and where it comes from: character i says the characters [starts[i], ends[i]) of the original.

    Spans overlap only where one written token is said in several characters. `starts` and `ends` never fall, since
    text is replaced where it stands.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Traced:
        """Return an original, each character of which says itself."""
        return cls(text, tuple(range(len(text))), tuple(range(1, len(text) + 1)))

    def __getitem__(self, part: slice) -> Traced:
        return Traced(self.text[part], self.starts[part], self.ends[part])

    def sub(self, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str | Iterable[Piece] | None]) -> Traced:
        """Replace every match that `replace` returns something for; None leaves it.

        Groups that are kept must come in order.
        """
        matches = [(match, new) for match in pattern.finditer(self.text) if (new := replace(match)) is not None]
        if not matches:
            return self
        texts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []

        def copy(begin: int, end: int) -> None:
            texts.append(self.text[begin:end])
            starts.extend(self.starts[begin:end])
            ends.extend(self.ends[begin:end])

        position = 0
        for match, new in matches:
            begin, end = match.span()
            copy(position, begin)
            done = begin
            pieces: list[Piece] = [new] if isinstance(new, str) else list(new)
            for index, piece in enumerate(pieces):
                if isinstance(piece, int):
                    copy(*match.span(piece))
                    done = match.end(piece)
                    continue
                # New characters say what lies between the kept groups on both sides of them.
                until = next((match.start(later) for later in pieces[index + 1 :] if isinstance(later, int)), end)
                texts.append(piece)
                starts.extend([self._start(done)] * len(piece))
                ends.extend([self._end(done, until)] * len(piece))
            position = end
        copy(position, len(self.text))
        return Traced("".join(texts), tuple(starts), tuple(ends))

    def _start(self, at: int) -> int:
        if at < len(self.starts):
            return self.starts[at]
        return self.ends[-1] if self.ends else 0

    def _end(self, begin: int, end: int) -> int:
        last = self.ends[end - 1] if end else 0
        return last if end > begin else max(last, self._start(begin))  # nothing, between two characters

    def add(self, text: str, source: Traced) -> Traced:
        """Return it with new characters at its end, which say `source`."""
        length = len(text)
        return Traced(
            self.text + text,
            self.starts + (source.starts[0],) * length,
            self.ends + (source.ends[-1],) * length,
        )

    def strip(self) -> Traced:
        """Return it without white space at both ends."""
        begin = len(self.text) - len(self.text.lstrip())
        return self[begin : max(len(self.text.rstrip()), begin)]


def join(parts: Iterable[Traced]) -> Traced:
    """Return the parts, which are in order, with a space between them."""
    texts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for part in parts:
        if texts:
            texts.append(" ")
            starts.append(ends[-1])
            ends.append(ends[-1])
        texts.append(part.text)
        starts.extend(part.starts)
        ends.extend(part.ends)
    return Traced("".join(texts), tuple(starts), tuple(ends))
