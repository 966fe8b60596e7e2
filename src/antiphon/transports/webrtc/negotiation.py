"""Offer and answer (SDP, RFC 8829): what a client offers, checked, and what it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpParameters,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities
from aiortc.sdp import GroupDescription, MediaDescription, SessionDescription, SsrcDescription

from antiphon.protocol.errors import ProtocolError

MAX_OFFER_LENGTH = 256 * 1024
"""Longest offer, in characters; those of browsers have 2,000 to 10,000."""

MAX_CANDIDATES = 64
"""Most addresses that a client may offer: each is probed."""

MAX_MESSAGE_BYTES = 1024 * 1024
"""Largest message that a client may send on the data channel, advertised as `a=max-message-size` (RFC 8841)."""

_DEFAULT_MESSAGE_BYTES = 64 * 1024
"""What a client takes that does not say (RFC 8841 section 6)."""

MID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:mid"
_STATIC_CODECS = {0: "PCMU", 8: "PCMA"}
_CLOCK_RATES = {"opus": 48_000, "pcmu": 8_000, "pcma": 8_000}

CodecName = Literal["opus", "pcmu", "pcma"]


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """A codec that both sides have.

    Attributes:
        payload_type: its number in RTP packets.
        clock_rate: of RTP, Hz.
        fec: whether the client uses Opus's in-band forward error correction.
    """

    name: CodecName
    payload_type: int
    clock_rate: int
    fec: bool = False


@dataclass(frozen=True, slots=True)
class EventChannelOffer:
    """The data channels of an offer.

    Attributes:
        port: of SCTP.
        max_message_bytes: largest message that the client takes; None for any.
    """

    mid: str
    port: int
    max_message_bytes: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client offers, as far as it is used.

    Attributes:
        codecs: audio codecs in common, in the client's order; the first is sent.
        sends, listens: whether the client sends audio, and whether it wants to hear any.
        channel: its data channels; None when it offers none.
        setup: our part in the DTLS handshake.
        sections: for each media section its mid when it is taken, else its first line as it is refused.
    """

    mid: str
    codecs: tuple[AudioCodec, ...]
    sends: bool
    listens: bool
    mid_extension: int | None
    channel: EventChannelOffer | None
    ice: RTCIceParameters
    candidates: tuple[RTCIceCandidate, ...]
    fingerprints: tuple[RTCDtlsFingerprint, ...]
    setup: Literal["client", "server"]
    sections: tuple[str, ...] = field(default=())
    refused: tuple[bool, ...] = field(default=())


def parse_offer(text: str) -> Offer:
    """Return what an SDP offer offers.

    Raises:
        ProtocolError: code "invalid_offer"; it cannot be read, has no audio or lacks what WebRTC needs.
    """
    description = _parse(text)
    bundled = {str(mid) for group in description.group if group.semantic == "BUNDLE" for mid in group.items}
    offered = [media for media in description.media if media.port or media.rtp.muxId in bundled]
    audio = next((media for media in offered if media.kind == "audio"), None)
    if audio is None:
        raise _invalid("The SDP offer has no audio. Add an audio track, or a transceiver for audio, before the offer.")
    codecs = _common_codecs(audio)
    if not codecs:
        raise _invalid("The SDP offer has no audio codec that this server has: Opus, PCMU or PCMA.")
    data = next((media for media in offered if _is_channel(media)), None)
    for media in filter(None, (audio, data)):
        if not media.rtp.muxId or (media is not audio and media.rtp.muxId not in bundled):
            raise _invalid("The SDP offer must bundle its media (a=group:BUNDLE and a=mid).")
    if not audio.rtcp_mux:
        raise _invalid("The SDP offer must send RTP and RTCP over one port (a=rtcp-mux).")
    if audio.ice is None or not audio.ice.usernameFragment or not audio.ice.password:
        raise _invalid("The SDP offer has no ICE credentials (a=ice-ufrag and a=ice-pwd).")
    if audio.dtls is None or not audio.dtls.fingerprints:
        raise _invalid("The SDP offer has no DTLS parameters (a=fingerprint and a=setup).")
    taken = [media is audio or media is data for media in description.media]
    direction = audio.direction or "sendrecv"
    return Offer(
        mid=audio.rtp.muxId,
        codecs=codecs,
        sends=direction in ("sendrecv", "sendonly"),
        listens=direction in ("sendrecv", "recvonly"),
        mid_extension=_mid_extension(audio),
        channel=_channel(data) if data is not None else None,
        ice=audio.ice,
        candidates=_candidates(audio),
        fingerprints=tuple(audio.dtls.fingerprints),
        # RFC 5763 section 5: who answers "actpass" should take the active part.
        setup="server" if audio.dtls.role == "client" else "client",
        sections=tuple(
            media.rtp.muxId if used else _refusal(media) for media, used in zip(description.media, taken, strict=True)
        ),
        refused=tuple(not used for used in taken),
    )


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our side of the connection, as the answer tells it."""

    ice: RTCIceParameters
    candidates: Sequence[RTCIceCandidate]
    fingerprints: Sequence[RTCDtlsFingerprint]
    ssrc: int
    cname: str


def write_answer(offer: Offer, local: LocalTransport) -> str:
    """Return the SDP answer to an offer."""
    sections = []
    for section, refused in zip(offer.sections, offer.refused, strict=True):
        if refused:
            sections.append(section)
        else:
            media = _audio_answer(offer, local) if section == offer.mid else _channel_answer(offer, local)
            sections.append(str(media))
    answer = SessionDescription()
    answer.origin = f"- {local.ssrc} 1 IN IP4 0.0.0.0"
    taken = [mid for mid, refused in zip(offer.sections, offer.refused, strict=True) if not refused]
    answer.group = [GroupDescription("BUNDLE", [*taken])]
    answer.msid_semantic = [GroupDescription("WMS", ["*"])]
    return str(answer) + "".join(sections)


def _audio_answer(offer: Offer, local: LocalTransport) -> MediaDescription:
    payload_types = [codec.payload_type for codec in offer.codecs]
    media = MediaDescription("audio", 9, "UDP/TLS/RTP/SAVPF", payload_types)
    media.direction = {
        (True, True): "sendrecv",
        (True, False): "recvonly",
        (False, True): "sendonly",
        (False, False): "inactive",
    }[offer.sends, offer.listens]
    media.msid = f"{local.cname} audio"
    extensions = [] if offer.mid_extension is None else [(offer.mid_extension, MID_EXTENSION)]
    media.rtp = RTCRtpParameters(
        codecs=[_codec_answer(codec) for codec in offer.codecs],
        headerExtensions=[RTCRtpHeaderExtensionParameters(id=id, uri=uri) for id, uri in extensions],
        muxId=offer.mid,
    )
    media.rtcp_host, media.rtcp_port, media.rtcp_mux = "0.0.0.0", 9, True  # noqa: S104 - SDP's "none"
    media.ssrc = [SsrcDescription(ssrc=local.ssrc, cname=local.cname)]
    return _with_transport(media, offer, local)


def _codec_answer(codec: AudioCodec) -> RTCRtpCodecParameters:
    opus = codec.name == "opus"
    return RTCRtpCodecParameters(
        mimeType=f"audio/{codec.name if opus else codec.name.upper()}",
        clockRate=codec.clock_rate,
        channels=2 if opus else 1,
        payloadType=codec.payload_type,
        # PyAV gives no access to what FEC would restore, so the client need not send it.
        parameters={"minptime": 10, "useinbandfec": 0} if opus else {},
    )


def _channel_answer(offer: Offer, local: LocalTransport) -> MediaDescription:
    assert offer.channel is not None  # noqa: S101 - a section that is taken is audio or this
    media = MediaDescription("application", 9, "UDP/DTLS/SCTP", ["webrtc-datachannel"])
    media.sctp_port = offer.channel.port
    media.sctpCapabilities = RTCSctpCapabilities(maxMessageSize=MAX_MESSAGE_BYTES)
    media.rtp.muxId = offer.channel.mid
    return _with_transport(media, offer, local)


def _with_transport(media: MediaDescription, offer: Offer, local: LocalTransport) -> MediaDescription:
    media.host = "0.0.0.0"  # noqa: S104 - SDP's "none": addresses are in the candidates
    media.ice = local.ice
    media.ice_candidates = list(local.candidates)
    media.ice_candidates_complete = True
    media.dtls = RTCDtlsParameters(fingerprints=list(local.fingerprints), role=offer.setup)
    return media


def _parse(text: str) -> SessionDescription:
    if not text.strip():
        raise _invalid("The SDP offer is empty.")
    if len(text) > MAX_OFFER_LENGTH:
        raise _invalid(f"The SDP offer is longer than {MAX_OFFER_LENGTH} characters.")
    try:
        return SessionDescription.parse(text)
    except Exception:  # noqa: BLE001 - the parser fails in many ways on what is no SDP; it does nothing else
        raise _invalid("The SDP offer cannot be read.") from None


def _common_codecs(audio: MediaDescription) -> tuple[AudioCodec, ...]:
    described = {codec.payloadType: codec for codec in audio.rtp.codecs}
    found = []
    for payload_type in audio.fmt:
        codec = described.get(payload_type)
        name = codec.name.lower() if codec is not None else _STATIC_CODECS.get(payload_type, "").lower()
        clock_rate = _CLOCK_RATES.get(name)
        if clock_rate is None or payload_type > 127 or (codec is not None and codec.clockRate != clock_rate):
            continue
        fec = codec is not None and str(codec.parameters.get("useinbandfec", 0)) == "1"
        known: CodecName = "opus" if name == "opus" else "pcmu" if name == "pcmu" else "pcma"
        found.append(AudioCodec(known, payload_type, clock_rate, fec))
    return tuple(found)


def _mid_extension(audio: MediaDescription) -> int | None:
    """Return the number of the extension that names the section; only those of one byte (RFC 8285) are written."""
    ids = (known.id for known in audio.rtp.headerExtensions if known.uri == MID_EXTENSION)
    return next((id for id in ids if 1 <= id <= 14), None)


def _is_channel(media: MediaDescription) -> bool:
    over_sctp = media.kind == "application" and media.profile.endswith("DTLS/SCTP")
    return over_sctp and media.sctp_port is not None and 0 < media.sctp_port < 65536


def _channel(media: MediaDescription) -> EventChannelOffer:
    limit = media.sctpCapabilities.maxMessageSize if media.sctpCapabilities else _DEFAULT_MESSAGE_BYTES
    assert media.sctp_port is not None  # noqa: S101 - see _is_channel
    return EventChannelOffer(media.rtp.muxId, media.sctp_port, limit or None)


def _candidates(media: MediaDescription) -> tuple[RTCIceCandidate, ...]:
    """Return the addresses that can be probed.

    Names of multicast DNS (browsers hide addresses behind them) are left out: the client probes us, and is known by
    its address then.
    """
    usable = [
        candidate
        for candidate in media.ice_candidates
        if candidate.protocol.lower() == "udp" and candidate.component == 1 and not candidate.ip.endswith(".local")
    ]
    return tuple(usable[:MAX_CANDIDATES])


def _refusal(media: MediaDescription) -> str:
    """Return the section with which one is refused: its port is 0 (RFC 3264 section 6)."""
    formats = " ".join(str(each) for each in media.fmt)
    lines = [f"m={media.kind} 0 {media.profile} {formats}", "c=IN IP4 0.0.0.0", "a=inactive"]
    if media.rtp.muxId:
        lines.append(f"a=mid:{media.rtp.muxId}")
    return "\r\n".join(lines) + "\r\n"


def _invalid(message: str) -> ProtocolError:
    return ProtocolError(message, code="invalid_offer", param="sdp")
