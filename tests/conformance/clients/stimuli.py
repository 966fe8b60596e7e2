"""What users say to the clients under test, and how long to wait for what they report."""

from __future__ import annotations

import numpy as np

from tests.conformance.audio import silence, tone

SPEECH = np.concatenate([tone(800), silence(900)])
"""What the stand-in engines take for speech, and silence that ends the turn: int16[n], 24 kHz."""

TIMEOUT = 20.0
"""Seconds to wait for a report. A bound for a hung server, far above what a slow machine needs."""
