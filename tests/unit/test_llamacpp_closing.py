"""A model that is freed as soon as it was loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")

FREED_AT_ONCE = """
import os
import sys

if sys.platform == "linux":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so that llama.cpp's thread comes late

from antiphon.engines.base import EngineError
from antiphon.engines.llamacpp.server import LlamaServer, ServerConfig
from antiphon.models import ModelStore

def fail(self):
    raise EngineError("it has no properties")

LlamaServer._read_properties = fail
try:
    LlamaServer(ServerConfig(ModelStore.default().path("smollm2-135m-instruct"), threads=1, slots=1, context=256))
except EngineError as error:
    print(error.message)
"""


@pytest.mark.models
def test_a_model_that_is_freed_before_it_was_asked_anything() -> None:
    """In a process of its own, which llama.cpp can keep from ever ending."""
    program = [sys.executable, "-c", FREED_AT_ONCE]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=150)
    assert (done.stdout, done.returncode) == ("it has no properties\n", 0), done.stderr
