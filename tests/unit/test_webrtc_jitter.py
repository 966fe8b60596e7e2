"""The jitter buffer: what arrives, in which order, and when."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.transports.webrtc.jitter import (
    CATCH_UP_S,
    MAX_CONCEALED_S,
    MAX_WAIT_S,
    MIN_WAIT_S,
    OVERSLEPT_S,
    PAUSED_S,
    STOPPED_S,
    Frame,
    JitterBuffer,
    Lost,
    Packet,
    Piece,
    Silence,
)

RATE = 48_000
FRAME = 960


def buffer() -> JitterBuffer:
    return JitterBuffer(RATE, lambda payload: FRAME if payload else 0, lambda payload: payload == b"dtx")


def packet(number: int, *, sequence: int = 65_530, timestamp: int = 2**32 - 3 * FRAME, payload: bytes = b"") -> Packet:
    """The packet of frame `number`; counters wrap early on."""
    return Packet(
        (sequence + number) & 0xFFFF, (timestamp + number * FRAME) & 0xFFFFFFFF, payload or str(number).encode()
    )


def frames(*numbers: int) -> list[Piece]:
    return [Frame(str(number).encode()) for number in numbers]


def samples(pieces: list[Piece]) -> int:
    return sum(FRAME if isinstance(piece, Frame) else piece.samples for piece in pieces)


def test_what_comes_in_order_is_passed_on_at_once() -> None:
    jitter = buffer()
    for number in range(20):
        assert jitter.push(packet(number), number * 0.02) == frames(number)
    assert (jitter.received, jitter.lost) == (20, 0)


def test_a_packet_that_is_overtaken_is_waited_for() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    assert jitter.push(packet(2), 0.02) == []
    assert jitter.deadline() == 0.02 + MIN_WAIT_S
    assert jitter.poll(0.03) == []
    assert jitter.push(packet(1), 0.04) == frames(1, 2)
    assert jitter.lost == 0


def test_a_packet_that_does_not_come_is_concealed() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    jitter.push(packet(2), 0.04)
    assert jitter.poll(0.04 + MIN_WAIT_S) == [Lost(FRAME), *frames(2)]
    assert jitter.push(packet(1), 0.09) == [], "too late"
    assert jitter.lost == 1


def test_several_holes_are_closed_one_after_the_other() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    jitter.push(packet(2), 0.04)
    jitter.push(packet(4), 0.079)
    assert jitter.poll(0.08) == [Lost(FRAME), *frames(2)]
    assert jitter.poll(0.09) == []
    assert jitter.poll(0.12) == [Lost(FRAME), *frames(4)]


def test_a_long_loss_is_concealed_in_part_and_keeps_its_length() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    jitter.push(packet(21), 0.42)
    pieces = jitter.poll(1.0)
    concealed = round(MAX_CONCEALED_S * RATE)
    assert pieces == [Lost(concealed), Silence(20 * FRAME - concealed), *frames(21)]


def test_duplicates_are_dropped() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    assert jitter.push(packet(0), 0.01) == []
    jitter.push(packet(2), 0.04)
    jitter.push(packet(2), 0.04)
    assert jitter.push(packet(1), 0.05) == frames(1, 2)


def test_what_was_not_sent_is_silence() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    resumed = Packet(packet(1).sequence, packet(11).timestamp, b"11")
    assert jitter.push(resumed, 0.22) == [Silence(10 * FRAME), Frame(b"11")]


def test_a_pause_that_was_announced_is_filled_as_time_passes() -> None:
    jitter = buffer()
    jitter.push(packet(0, payload=b"dtx"), 0.0)
    assert jitter.deadline() == PAUSED_S
    assert jitter.poll(PAUSED_S - 0.01) == []
    filled = jitter.poll(PAUSED_S)
    assert filled == [Silence(round(PAUSED_S * RATE))]
    filled += jitter.poll(0.2)
    assert samples(filled) == round(0.2 * RATE)
    resumed = Packet(packet(1).sequence, packet(21).timestamp, b"21")
    pieces = jitter.push(resumed, 0.42)
    assert samples(filled + pieces) == 21 * FRAME, "time is that of the timestamps again"


def test_a_sender_that_stops_is_silent_from_its_last_packet_on() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    assert jitter.poll(STOPPED_S - 0.01) == []
    assert jitter.poll(STOPPED_S) == [Silence(round(STOPPED_S * RATE))]
    assert jitter.poll(STOPPED_S + 0.02) == [Silence(FRAME)]


def test_what_was_only_delayed_is_not_lost_even_when_silence_was_filled_in() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    jitter.poll(STOPPED_S)
    pieces = [piece for number in (1, 2, 3) for piece in jitter.push(packet(number), STOPPED_S + 0.01)]
    assert pieces == frames(1, 2, 3)


def test_a_stall_of_our_own_is_no_pause_of_the_sender() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    woken = STOPPED_S + OVERSLEPT_S + 0.5
    assert jitter.poll(woken) == []
    assert jitter.deadline() == woken + CATCH_UP_S
    pieces = [piece for number in (1, 2, 3) for piece in jitter.push(packet(number), woken + 0.01)]
    assert pieces == frames(1, 2, 3)
    assert jitter.deadline() == woken + 0.01 + STOPPED_S


def test_a_sender_that_stopped_while_we_were_stalled_is_silent_all_the_while() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    woken = STOPPED_S + OVERSLEPT_S + 0.5
    jitter.poll(woken)
    assert jitter.poll(woken + CATCH_UP_S - 0.01) == []
    late = woken + CATCH_UP_S + 2 * OVERSLEPT_S
    assert jitter.poll(late) == [Silence(round(late * RATE))], "one excuse is enough, however busy we are"
    assert jitter.poll(late + 0.02) == [Silence(FRAME)]


def test_jitter_makes_it_wait_longer_within_bounds() -> None:
    jitter = buffer()
    assert jitter.wait_s == MIN_WAIT_S
    for number in range(200):
        jitter.push(packet(number), number * 0.02 + (0.15 if number % 2 else 0.0))
    assert jitter.wait_s == MAX_WAIT_S


def test_a_new_start_of_the_counters_is_not_a_gap() -> None:
    jitter = buffer()
    jitter.push(packet(0), 0.0)
    assert jitter.push(packet(5000), 0.02) == frames(5000)
    elsewhere = packet(5001, timestamp=2**31)
    assert jitter.push(elsewhere, 0.04) == [Frame(b"5001")], "a jump of hours is no silence"


def test_before_the_first_packet_there_is_nothing_to_wait_for() -> None:
    jitter = buffer()
    assert jitter.deadline() is None
    assert jitter.poll(1000.0) == []


def test_an_empty_payload_has_no_frame() -> None:
    jitter = buffer()
    assert jitter.push(Packet(0, 0, b""), 0.0) == []
    assert jitter.push(Packet(1, FRAME, b"1"), 0.02) == [Silence(FRAME), Frame(b"1")]


@settings(max_examples=200)
@given(
    lost=st.sets(st.integers(1, 60), max_size=20),
    delays=st.lists(st.floats(0.0, 0.12), min_size=62, max_size=62),
)
def test_time_is_kept_and_the_order_too_whatever_the_network_does(lost: set[int], delays: list[float]) -> None:
    jitter = buffer()
    arrivals = sorted((number * 0.02 + delays[number], number) for number in range(62) if number not in lost)
    if arrivals[0][1] != 0:
        arrivals.remove(next(arrival for arrival in arrivals if arrival[1] == 0))
        arrivals.insert(0, (0.0, 0))
    pieces: list[Piece] = []
    for at, number in arrivals:
        while (due := jitter.deadline()) is not None and due <= at:
            pieces += jitter.poll(due)
        pieces += jitter.push(packet(number), at)
    end = arrivals[-1][0]
    while (due := jitter.deadline()) is not None and due < end + MAX_WAIT_S + 0.01:
        pieces += jitter.poll(due)
    heard = [int(piece.payload) for piece in pieces if isinstance(piece, Frame)]
    assert heard == sorted(set(heard))
    assert not lost & set(heard)
    assert samples(pieces) == (heard[-1] + 1) * FRAME
