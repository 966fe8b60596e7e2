"""How the CPU threads of a machine are shared by the roles of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CorePlan:
    """How many CPU threads each role may keep busy.

    Transcription and the language model work one after the other within a turn, so each may have all cores, up to
    where more stop helping. The others are small: a second thread would cost them more than it gains, and spinning
    threads beyond the cores slow everything down.
    """

    vad: int = 1
    turn: int = 1
    denoise: int = 1
    transcription: int = 2
    llm: int = 2
    tts: int = 1

    @classmethod
    def of(cls, cores: int) -> CorePlan:
        """Return the plan for a machine with `cores` cores."""
        return cls(transcription=max(1, min(cores, 4)), llm=max(1, min(cores, 8)), tts=2 if cores >= 4 else 1)
