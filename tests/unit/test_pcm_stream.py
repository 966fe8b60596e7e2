"""Speech as raw PCM, in chunks cut anywhere."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.levels import to_float
from antiphon.engines.remote.pcm_stream import NotPcmError, PcmDecoder, check_content_type, read_speech


@given(st.lists(st.integers(-32768, 32767), max_size=200), st.lists(st.integers(0, 400), max_size=20), st.booleans())
def test_the_cuts_do_not_matter(values: list[int], cuts: list[int], odd: bool) -> None:
    pcm = np.array(values, "<i2")
    data = pcm.tobytes() + (b"\x01" if odd else b"")
    if data[:4] in (b"RIFF", b"OggS", b"fLaC", b"ID3\x03", b"ID3\x04"):
        return
    decoder = PcmDecoder()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [decoder.feed(data[start:end]) for start, end in itertools.pairwise(edges)]
    got = np.concatenate([np.zeros(0, np.float32), *parts, decoder.finish()])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, to_float(pcm.astype(np.int16)))


@pytest.mark.parametrize("start", [b"RIFF", b"OggS", b"fLaC", b"ID3\x04"])
def test_files_of_other_formats_are_not_played(start: bytes) -> None:
    decoder = PcmDecoder()
    with pytest.raises(NotPcmError):
        for at in range(len(start)):
            decoder.feed(start[at : at + 1])


@pytest.mark.parametrize(
    "kind", ["audio/mpeg", "audio/x-wav", "application/json", "text/html; charset=utf-8", "audio/ogg"]
)
def test_content_types_of_something_else(kind: str) -> None:
    with pytest.raises(NotPcmError):
        check_content_type(kind)


@pytest.mark.parametrize(
    "kind", [None, "", "audio/pcm", "audio/pcm;rate=24000", "application/octet-stream", "audio/L16"]
)
def test_content_types_of_pcm(kind: str | None) -> None:
    check_content_type(kind)


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_no_speech_for_words_is_an_error() -> None:
    with pytest.raises(NotPcmError, match="no speech"):
        [chunk async for chunk in read_speech("Hello.", "audio/pcm", body(), 24_000)]
    assert [chunk async for chunk in read_speech("…", "audio/pcm", body(), 24_000)] == []


async def test_speech_comes_with_its_rate() -> None:
    chunks = [chunk async for chunk in read_speech("Hi.", None, body(b"\x00", b"\x00\x00\x40", b"\x00\x40"), 8_000)]
    assert [chunk.rate for chunk in chunks] == [8_000] * 2
    assert np.concatenate([chunk.samples for chunk in chunks]).tolist() == [0.0, 0.5, 0.5]
