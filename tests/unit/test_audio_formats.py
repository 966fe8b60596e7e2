import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio import g711
from antiphon.audio.formats import PCM_16K, PCM_24K, PCMA, PCMU, AudioFormat

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_CODE = bytes(range(256))


# Decoder output values of ITU-T G.711 (tables 2a and 1a), scaled to 16 bits: ends of every segment.
MULAW_VALUES = {
    **{0x80: 32124, 0x8F: 16764, 0x90: 15996, 0x9F: 8316, 0xA0: 7932, 0xAF: 4092, 0xB0: 3900, 0xBF: 1980},
    **{0xC0: 1884, 0xCF: 924, 0xD0: 876, 0xDF: 396, 0xE0: 372, 0xEF: 132, 0xF0: 120, 0xFE: 8, 0xFF: 0},
    **{0x7F: 0, 0x7E: -8, 0x00: -32124},
}
ALAW_VALUES = {
    **{0xAA: 32256, 0xA5: 16896, 0xBA: 16128, 0xB5: 8448, 0x8A: 8064, 0x85: 4224, 0x9A: 4032, 0x95: 2112},
    **{0xEA: 2016, 0xE5: 1056, 0xFA: 1008, 0xF5: 528, 0xCA: 504, 0xDA: 248, 0xD5: 8, 0x55: -8, 0x2A: -32256},
}


def test_mulaw_decodes_the_standards_values() -> None:
    assert g711.mulaw_decode(bytes(MULAW_VALUES)).tolist() == list(MULAW_VALUES.values())


def test_alaw_decodes_the_standards_values() -> None:
    assert g711.alaw_decode(bytes(ALAW_VALUES)).tolist() == list(ALAW_VALUES.values())


def test_every_code_survives_a_round_trip() -> None:
    assert g711.alaw_encode(g711.alaw_decode(EVERY_CODE)) == EVERY_CODE
    # µ-law has a negative zero, which decodes to the same sample as the positive one.
    assert g711.mulaw_encode(g711.mulaw_decode(EVERY_CODE)) == EVERY_CODE.replace(b"\x7f", b"\xff")


@pytest.mark.parametrize("form", [PCMU, PCMA])
def test_encoding_is_off_by_half_a_step_at_most(form: AudioFormat) -> None:
    decoded = form.decode(form.encode(EVERY_SAMPLE)).astype(int)
    levels = np.unique(form.decode(EVERY_CODE).astype(int))
    widest_gap = np.maximum(np.diff(levels, prepend=levels[0]), np.diff(levels, append=levels[-1]))
    allowed = widest_gap[np.searchsorted(levels, decoded)] // 2
    unclipped = np.abs(EVERY_SAMPLE.astype(int)) <= levels[-1]
    assert (np.abs(decoded - EVERY_SAMPLE) <= allowed + 1)[unclipped].all()
    assert (np.diff(decoded) >= 0).all()


def test_laws_are_symmetric() -> None:
    for form in (PCMU, PCMA):
        positive = form.decode(form.encode(EVERY_SAMPLE[32768:]))
        negative = form.decode(form.encode(~EVERY_SAMPLE[32768:]))
        assert (positive == -negative).all()


@given(st.lists(st.integers(-32768, 32767), max_size=200))
def test_pcm_round_trip(values: list[int]) -> None:
    samples = np.array(values, np.int16)
    assert PCM_24K.decode(PCM_24K.encode(samples)).tolist() == values
    assert len(PCM_24K.encode(samples)) == len(values) * PCM_24K.bytes_per_sample


def test_pcm_is_little_endian() -> None:
    assert PCM_16K.encode(np.array([1, -2], np.int16)) == b"\x01\x00\xfe\xff"


def test_odd_byte_count_is_refused() -> None:
    with pytest.raises(ValueError, match="even number of bytes, got 3"):
        PCM_24K.decode(b"abc")


@pytest.mark.parametrize("form", [PCM_24K, PCM_16K, PCMU, PCMA])
def test_wire_form_round_trip(form: AudioFormat) -> None:
    assert AudioFormat.from_wire(form.wire()) == form


def test_wire_forms() -> None:
    assert PCM_24K.wire() == {"type": "audio/pcm", "rate": 24000}
    assert PCMU.wire() == {"type": "audio/pcmu"}
    assert AudioFormat.from_wire({"type": "audio/pcm"}) == PCM_24K


@pytest.mark.parametrize("wire", [{}, {"type": "audio/opus"}, {"type": "audio/pcm", "rate": 44100}])
def test_unknown_formats_are_refused(wire: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="unsupported audio format"):
        AudioFormat.from_wire(wire)
