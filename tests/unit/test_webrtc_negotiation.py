"""Offers as browsers and other clients make them, and what they are answered."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.rtcdtlstransport import RTCDtlsFingerprint
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.protocol.errors import ProtocolError
from antiphon.transports.webrtc.negotiation import (
    MAX_CANDIDATES,
    MAX_MESSAGE_BYTES,
    AudioCodec,
    LocalTransport,
    parse_offer,
    write_answer,
)

FINGERPRINT = ":".join(["AB"] * 32)

TRANSPORT = f"""\
c=IN IP4 0.0.0.0
a=ice-ufrag:ufrg
a=ice-pwd:0123456789abcdefghijkl
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""

AUDIO = (
    """\
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
a=rtcp:9 IN IP4 0.0.0.0
"""
    + TRANSPORT
    + """\
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1001 cname:name
a=ssrc:1001 msid:stream track
"""
)

DATA = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"
    + TRANSPORT
    + "a=mid:1\na=sctp-port:5000\na=max-message-size:262144\n"
)

HEAD = """\
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS stream
"""

LOCAL = LocalTransport(
    ice=RTCIceParameters("ours", "ourpasswordourpassword"),
    candidates=[RTCIceCandidate(1, "1", "192.0.2.1", 50_000, 2130706431, "udp", "host")],
    fingerprints=[RTCDtlsFingerprint("sha-256", FINGERPRINT)],
    ssrc=77,
    cname="me",
)


def sdp(*parts: str) -> str:
    return "".join(parts).replace("\n", "\r\n")


def test_an_offer_of_a_browser() -> None:
    offer = parse_offer(sdp(HEAD, AUDIO, DATA))
    assert offer.codecs == (
        AudioCodec("opus", 111, 48_000, fec=True),
        AudioCodec("pcmu", 0, 8_000),
        AudioCodec("pcma", 8, 8_000),
    )
    assert (offer.sends, offer.listens, offer.mid, offer.mid_extension) == (True, True, "0", 4)
    assert offer.channel is not None
    assert (offer.channel.mid, offer.channel.port, offer.channel.max_message_bytes) == ("1", 5000, 262_144)
    assert offer.setup == "client"


def test_the_answer() -> None:
    answer = write_answer(parse_offer(sdp(HEAD, AUDIO, DATA)), LOCAL)
    read = SessionDescription.parse(answer)
    audio, data = read.media
    assert [codec.mimeType for codec in audio.rtp.codecs] == ["audio/opus", "audio/PCMU", "audio/PCMA"]
    assert [codec.payloadType for codec in audio.rtp.codecs] == [111, 0, 8]
    assert (audio.direction, audio.rtp.muxId, audio.rtcp_mux) == ("sendrecv", "0", True)
    assert [(known.id, known.uri.rpartition(":")[2]) for known in audio.rtp.headerExtensions] == [(4, "mid")]
    assert [candidate.ip for candidate in audio.ice_candidates] == ["192.0.2.1"]
    assert audio.dtls is not None and audio.dtls.role == "client"
    assert (data.rtp.muxId, data.sctp_port) == ("1", 5000)
    assert data.sctpCapabilities is not None and data.sctpCapabilities.maxMessageSize == MAX_MESSAGE_BYTES
    assert [str(group) for group in read.group] == ["BUNDLE 0 1"]
    assert "a=setup:active\r\n" in answer
    assert answer.endswith("\r\n")


def test_only_the_main_codec_is_needed() -> None:
    bare = (
        AUDIO.replace("111 63 9 0 8 13 110 126", "8").replace("a=rtcp-fb:111 transport-cc\n", "").split("a=rtpmap")[0]
    )
    offer = parse_offer(sdp(HEAD, bare, DATA))
    assert offer.codecs == (AudioCodec("pcma", 8, 8_000),), "a static payload type needs no name"


def test_the_clients_order_of_codecs_is_kept() -> None:
    offer = parse_offer(sdp(HEAD, AUDIO.replace("111 63 9 0 8", "0 8 111 63 9"), DATA))
    assert [codec.name for codec in offer.codecs] == ["pcmu", "pcma", "opus"]


@pytest.mark.parametrize(
    ("direction", "sends", "listens", "answered"),
    [
        ("sendrecv", True, True, "sendrecv"),
        ("sendonly", True, False, "recvonly"),
        ("recvonly", False, True, "sendonly"),
        ("inactive", False, False, "inactive"),
    ],
)
def test_directions(direction: str, sends: bool, listens: bool, answered: str) -> None:
    offer = parse_offer(sdp(HEAD, AUDIO.replace("a=sendrecv", f"a={direction}"), DATA))
    assert (offer.sends, offer.listens) == (sends, listens)
    assert SessionDescription.parse(write_answer(offer, LOCAL)).media[0].direction == answered


def test_who_is_active_makes_us_passive() -> None:
    offer = parse_offer(sdp(HEAD, AUDIO, DATA).replace("setup:actpass", "setup:active"))
    assert offer.setup == "server"
    assert "a=setup:passive" in write_answer(offer, LOCAL)


def test_audio_alone() -> None:
    offer = parse_offer(sdp(HEAD.replace("BUNDLE 0 1", "BUNDLE 0"), AUDIO))
    assert offer.channel is None
    assert len(SessionDescription.parse(write_answer(offer, LOCAL)).media) == 1


def test_a_client_that_does_not_say_how_much_it_takes_takes_64_kib_and_zero_means_any() -> None:
    silent = parse_offer(sdp(HEAD, AUDIO, DATA.replace("a=max-message-size:262144\n", "")))
    assert silent.channel is not None and silent.channel.max_message_bytes == 65_536
    boundless = parse_offer(sdp(HEAD, AUDIO, DATA.replace("262144", "0")))
    assert boundless.channel is not None and boundless.channel.max_message_bytes is None


def test_media_that_are_not_wanted_are_refused_in_their_place() -> None:
    video = "m=video 9 UDP/TLS/RTP/SAVPF 96\n" + TRANSPORT + "a=mid:v\na=rtcp-mux\na=rtpmap:96 VP8/90000\n"
    second = AUDIO.replace("a=mid:0", "a=mid:2")
    answer = write_answer(
        parse_offer(sdp(HEAD.replace("BUNDLE 0 1", "BUNDLE v 0 1 2"), video, AUDIO, DATA, second)), LOCAL
    )
    lines = [line for line in answer.splitlines() if line.startswith("m=")]
    assert [" ".join(line.split()[:2]) for line in lines] == ["m=video 0", "m=audio 9", "m=application 9", "m=audio 0"]
    assert "a=group:BUNDLE 0 1\r\n" in answer


def test_a_bundle_only_section_has_port_zero() -> None:
    offer = parse_offer(sdp(HEAD, AUDIO, DATA.replace("m=application 9", "m=application 0")))
    assert offer.channel is not None


def test_addresses_that_cannot_be_probed_are_left_out() -> None:
    candidates = (
        "a=candidate:1 1 udp 2113937151 0f8d5a0c-3a6b.local 50000 typ host\n"
        "a=candidate:2 1 tcp 1518280447 192.0.2.5 9 typ host tcptype active\n"
        "a=candidate:3 2 udp 2113937151 192.0.2.5 50001 typ host\n"
    )
    many = "".join(f"a=candidate:{n} 1 udp 2113937151 192.0.2.5 {50_002 + n} typ host\n" for n in range(100))
    offer = parse_offer(sdp(HEAD, AUDIO + candidates + many, DATA))
    assert len(offer.candidates) == MAX_CANDIDATES
    assert {candidate.ip for candidate in offer.candidates} == {"192.0.2.5"}


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (("",), "empty"),
        (("nonsense",), "no audio"),
        (("m=audio\n",), "cannot be read"),
        ((HEAD, DATA), "no audio"),
        ((HEAD.replace("0 1", "1"), AUDIO.replace("m=audio 9", "m=audio 0"), DATA), "no audio"),
        ((HEAD, AUDIO.replace("opus", "x").replace("PCM", "X"), DATA), "codec"),
        ((HEAD.replace("a=group:BUNDLE 0 1\n", ""), AUDIO, DATA), "bundle"),
        ((HEAD, AUDIO.replace("a=mid:0\n", ""), DATA), "bundle"),
        ((HEAD, AUDIO.replace("a=rtcp-mux\n", ""), DATA), "rtcp-mux"),
        ((HEAD, AUDIO.replace("a=ice-pwd:0123456789abcdefghijkl\n", ""), DATA), "ICE"),
        ((HEAD, AUDIO.replace("a=setup:actpass\n", ""), DATA), "DTLS"),
        ((HEAD, AUDIO.replace(f"a=fingerprint:sha-256 {FINGERPRINT}\n", ""), DATA), "DTLS"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(parts: tuple[str, ...], says: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_offer(sdp(*parts))
    assert says in refused.value.message
    assert (refused.value.code, refused.value.param) == ("invalid_offer", "sdp")


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_offer_is_taken_or_refused_and_nothing_else(data: Any) -> None:
    lines = sdp(HEAD, AUDIO, DATA).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        line = lines[index]
        lines[index] = data.draw(
            st.one_of(
                st.just(line[: len(line) // 2]),
                st.just(line.replace("1", "9999999999")),
                st.just(line.replace(" ", "")),
                st.sampled_from(lines),
                st.text(max_size=30),
            )
        )
    try:
        offer = parse_offer("\r\n".join(lines))
    except ProtocolError as error:
        assert error.code == "invalid_offer"
    else:
        assert SessionDescription.parse(write_answer(offer, LOCAL)).media
