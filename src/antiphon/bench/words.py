"""Word error rate, after Whisper's English normalisation (Radford et al. 2022, appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

_normalize = EnglishTextNormalizer()


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Word errors over all of a set of texts, and how many words there should have been."""

    errors: int
    words: int

    @property
    def percent(self) -> float:
        """Errors for every hundred words; 0 when there are no words."""
        return round(100 * self.errors / self.words, 2) if self.words else 0.0


def word_errors(expected: Sequence[str], heard: Sequence[str]) -> WordErrors:
    """Count substitutions, insertions and deletions of `heard` against `expected`, text by text.

    Raises:
        ValueError: not as many texts heard as expected, or an expected text without words.
    """
    if not expected:
        return WordErrors(0, 0)
    counts = jiwer.process_words([_normalize(text) for text in expected], [_normalize(text) for text in heard])
    wrong = counts.substitutions + counts.deletions + counts.insertions
    return WordErrors(wrong, counts.hits + counts.substitutions + counts.deletions)
