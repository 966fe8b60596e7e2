"""The languages whose numbers and signs are written out, one module each."""

from __future__ import annotations

from collections.abc import Mapping

from antiphon.pipeline.speech_text.language import Language
from antiphon.pipeline.speech_text.languages.dutch import DUTCH
from antiphon.pipeline.speech_text.languages.english import ENGLISH
from antiphon.pipeline.speech_text.languages.french import FRENCH
from antiphon.pipeline.speech_text.languages.german import GERMAN
from antiphon.pipeline.speech_text.languages.italian import ITALIAN
from antiphon.pipeline.speech_text.languages.portuguese import PORTUGUESE
from antiphon.pipeline.speech_text.languages.spanish import SPANISH

LANGUAGES: Mapping[str, Language] = {
    language.code: language for language in (ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH)
}
"""By ISO 639-1 code."""
