"""Opus and G.711, there and back."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.audio.formats import PCM_24K, PCMA, PCMU, AudioFormat
from antiphon.transports.webrtc.codecs import (
    Decoder,
    OpusDecoder,
    OpusEncoder,
    Pcm,
    Voice,
    make_decoder,
    opus_duration,
    opus_pauses,
    silent_frame,
)
from antiphon.transports.webrtc.jitter import Frame, Lost, Silence
from antiphon.transports.webrtc.negotiation import AudioCodec


def tone(seconds: float, frequency: float = 300.0, rate: int = 24_000) -> Pcm:
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def rms(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(np.square(pcm.astype(np.float64))))) if len(pcm) else 0.0


CODECS = [
    AudioCodec("opus", 96, 48_000),
    AudioCodec("opus", 96, 48_000, fec=True),
    AudioCodec("pcmu", 0, 8_000),
    AudioCodec("pcma", 8, 8_000),
]


@pytest.fixture(params=CODECS, ids=["opus", "opus with fec", "pcmu", "pcma"])
def codec(request: pytest.FixtureRequest) -> AudioCodec:
    found: AudioCodec = request.param
    return found


@pytest.fixture
def decoder(codec: AudioCodec) -> Decoder:
    return make_decoder(codec)


@pytest.mark.parametrize("audio_format", [PCM_24K, PCMU, PCMA], ids=lambda audio_format: audio_format.type)
def test_speech_comes_back(codec: AudioCodec, decoder: Decoder, audio_format: AudioFormat) -> None:
    voice = Voice(codec, audio_format)
    pcm = tone(1.0, rate=audio_format.rate)
    data = audio_format.encode(pcm)
    payloads = [frame for start in range(0, len(data), 1000) for frame in voice.encode(data[start : start + 1000])]
    payloads += voice.flush()
    assert len(payloads) == 50
    decoded = [decoder.decode(Frame(payload)) for payload in payloads]
    assert {len(piece) for piece in decoded} == {codec.clock_rate // 50}
    heard = np.concatenate(decoded)
    spectrum = np.abs(np.fft.rfft(heard.astype(np.float64)))
    assert np.argmax(spectrum) * decoder.rate / len(heard) == pytest.approx(300, abs=2)
    assert rms(heard[len(heard) // 4 : -len(heard) // 4]) == pytest.approx(rms(pcm), rel=0.1)


def test_the_last_frame_is_filled_up_and_then_nothing_is_left(codec: AudioCodec) -> None:
    voice = Voice(codec, PCM_24K)
    assert len(voice.encode(PCM_24K.encode(tone(0.030)))) == 1
    assert len(voice.flush()) == 1
    assert voice.flush() == []


def test_silence_before_speech_is_left_out_and_counted(codec: AudioCodec, decoder: Decoder) -> None:
    voice = Voice(codec, PCM_24K)
    pcm = np.concatenate([np.zeros(24 * 70, np.int16), tone(0.2)])
    data = PCM_24K.encode(pcm)
    payloads = [frame for start in range(0, len(data), 700) for frame in voice.encode(data[start : start + 700])]
    assert voice.left_out() == 3
    assert voice.left_out() == 0
    payloads += voice.flush()
    assert len(payloads) == 11
    heard = np.concatenate([decoder.decode(Frame(payload)) for payload in payloads])
    assert rms(heard[: decoder.rate // 50]) > 1000, "the first frame is half silence, half tone"


def test_only_some_silence_is_left_out(codec: AudioCodec) -> None:
    voice = Voice(codec, PCM_24K)
    assert len(voice.encode(bytes(48 * 1000)) + voice.flush()) == 40
    assert voice.left_out() == 10


def test_a_response_of_silence_is_played(codec: AudioCodec) -> None:
    voice = Voice(codec, PCM_24K)
    assert voice.encode(bytes(48 * 90)) == []
    assert len(voice.flush()) == 5
    assert voice.left_out() == 0


def test_a_loss_keeps_its_length_and_fades(codec: AudioCodec, decoder: Decoder) -> None:
    for payload in Voice(codec, PCM_24K).encode(PCM_24K.encode(tone(0.4))):
        decoder.decode(Frame(payload))
    frame = decoder.rate // 50
    concealed = decoder.decode(Lost(6 * frame - 7))
    assert len(concealed) == 6 * frame - 7
    assert rms(concealed[:frame]) > 500
    assert rms(concealed[-frame:]) < 0.8 * rms(concealed[:frame])


def test_silence_is_silent(codec: AudioCodec, decoder: Decoder) -> None:
    assert not decoder.decode(Silence(777)).any()
    assert len(decoder.decode(Silence(777))) == 777
    assert rms(decoder.decode(Frame(silent_frame(codec)))) < 10
    assert len(decoder.decode(Frame(silent_frame(codec)))) == decoder.rate // 50


def test_silence_after_speech_is_soon_silent(codec: AudioCodec, decoder: Decoder) -> None:
    for payload in Voice(codec, PCM_24K).encode(PCM_24K.encode(tone(0.4))):
        decoder.decode(Frame(payload))
    heard = [decoder.decode(Frame(silent_frame(codec))) for _ in range(3)]
    assert rms(heard[-1]) < 10


def test_a_loss_before_anything_was_heard_is_silence(decoder: Decoder) -> None:
    assert not decoder.decode(Lost(960)).any()


def test_opus_that_cannot_be_decoded_is_concealed() -> None:
    encoder, decoder = OpusEncoder(fec=False), OpusDecoder()
    for payload in encoder.encode(tone(0.2)):
        decoder.decode(Frame(payload))
    broken = bytes([0xFF, 0x41]) + b"\xff" * 20  # says that it holds padding, frames and sizes that cannot be
    assert len(decoder.decode(Frame(broken))) == opus_duration(broken)
    assert len(decoder.decode(Frame(encoder.encode(tone(0.02))[0]))) == 960


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"", 0),
        (bytes([0 << 3]) + b"x", 480),  # SILK, 10 ms
        (bytes([3 << 3]) + b"x", 2880),  # SILK, 60 ms
        (bytes([13 << 3]) + b"x", 960),  # hybrid, 20 ms
        (bytes([16 << 3]) + b"x", 120),  # CELT, 2.5 ms
        (bytes([31 << 3]) + b"x", 960),  # CELT, 20 ms
        (bytes([31 << 3 | 1]) + b"xx", 1920),  # two frames
        (bytes([31 << 3 | 3, 3]) + b"xxx", 2880),  # three frames
        (bytes([31 << 3 | 3]), 0),  # a count is missing
        (bytes([3 << 3 | 3, 48]), 0),  # longer than 120 ms
    ],
)
def test_the_first_bytes_of_opus_tell_its_length(payload: bytes, samples: int) -> None:
    assert opus_duration(payload) == samples


def test_packets_without_sound_announce_a_pause() -> None:
    assert opus_pauses(bytes([31 << 3]))
    assert not opus_pauses(b"\xf8\xff\xfe")
