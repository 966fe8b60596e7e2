"""The playout clock, frame by frame."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.session.player import Cut
from antiphon.transports.webrtc.playout import FRAME_MS, Playout


def tick(playout: Playout) -> tuple[bytes | None, list[tuple[str, str]]]:
    frame, events = playout.next()
    kinds = []
    for event in events:
        assert isinstance(event, dict)
        kinds.append((event["type"].removeprefix("output_audio_buffer."), event["response_id"]))
    return frame, kinds


def test_a_response_starts_with_its_first_frame_and_stops_after_its_last() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1", b"2"])
    playout.end("resp")
    assert tick(playout) == (b"1", [("started", "resp")])
    assert tick(playout) == (b"2", [])
    assert tick(playout) == (None, [("stopped", "resp")])
    assert tick(playout) == (None, [])


def test_silence_in_the_middle_of_a_response_does_not_stop_it() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1"])
    assert tick(playout) == (b"1", [("started", "resp")])
    assert tick(playout) == (None, [])
    playout.add("resp", "item", [b"2"])
    assert tick(playout) == (b"2", [])
    playout.end("resp")
    assert tick(playout) == (None, [("stopped", "resp")])


def test_the_end_may_come_after_the_last_frame_was_played() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1"])
    tick(playout)
    tick(playout)
    playout.end("resp")
    assert tick(playout) == (None, [("stopped", "resp")])


def test_one_response_after_another() -> None:
    playout = Playout()
    playout.add("one", "item_1", [b"1"])
    playout.end("one")
    playout.add("two", "item_2", [b"2"])
    assert tick(playout) == (b"1", [("started", "one")])
    assert tick(playout) == (b"2", [("stopped", "one"), ("started", "two")])


def test_clearing_tells_what_was_played() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1", b"2", b"3"])
    tick(playout)
    tick(playout)
    assert playout.clear() == [Cut("resp", "item", 2 * FRAME_MS, started=True)]
    assert tick(playout) == (None, [])
    assert playout.clear() == []


def test_what_was_left_out_counts_as_played_once_anything_is() -> None:
    for played in (0, 1, 2):
        playout = Playout()
        playout.add("resp", "item", [b"1", b"2", b"3"], left_out=4)
        for _ in range(played):
            tick(playout)
        total = (played + 4 if played else 0) * FRAME_MS
        assert playout.clear() == [Cut("resp", "item", total, started=played > 0)]


def test_what_a_cleared_response_still_says_is_dropped_until_it_ends() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1", b"2"])
    tick(playout)
    playout.clear()
    playout.add("resp", "item", [b"3"])
    assert playout.waiting_ms == 0
    assert playout.clear() == []
    playout.end("resp")
    assert tick(playout) == (None, [])


def test_playback_is_cleared_although_the_response_has_ended() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1", b"2"])
    playout.end("resp")
    tick(playout)
    assert playout.clear() == [Cut("resp", "item", FRAME_MS, started=True)]
    assert tick(playout) == (None, [])


def test_a_response_in_a_pause_between_two_pieces_is_cleared_too() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1"])
    tick(playout)
    tick(playout)
    assert playout.clear() == [Cut("resp", "item", FRAME_MS, started=True)]


def test_nothing_is_cleared_of_a_response_that_was_played_out() -> None:
    playout = Playout()
    playout.add("resp", "item", [b"1"])
    playout.end("resp")
    tick(playout)
    assert playout.clear() == []
    assert tick(playout) == (None, [("stopped", "resp")])


def test_what_waits_behind_is_cleared_unplayed() -> None:
    playout = Playout()
    playout.add("one", "item_1", [b"1", b"2"])
    playout.end("one")
    playout.add("two", "item_2", [b"3"])
    tick(playout)
    assert playout.clear() == [
        Cut("one", "item_1", FRAME_MS, started=True),
        Cut("two", "item_2", 0, started=False),
    ]


def test_an_item_that_was_played_whole_is_not_cut() -> None:
    playout = Playout()
    playout.add("resp", "item_1", [b"1"])
    playout.add("resp", "item_2", [b"2", b"3"])
    tick(playout)
    tick(playout)
    assert playout.clear() == [Cut("resp", "item_2", FRAME_MS, started=True)]


def test_a_response_without_speech_leaves_no_trace() -> None:
    playout = Playout()
    playout.add("resp", "item", [])
    playout.end("resp")
    assert tick(playout) == (None, [])
    assert playout.clear() == []


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 4)),
        st.tuples(st.just("end"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("tick"), st.just(0), st.just(0)),
        st.tuples(st.just("clear"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_every_response_is_started_once_and_ends_once_and_every_frame_is_played_or_cut(
    script: list[tuple[str, int, int]],
) -> None:
    playout = Playout()
    ended: set[int] = set()
    taken: dict[str, int] = {}
    played: dict[str, int] = {}
    cut: dict[str, int] = {}
    log: list[tuple[str, str]] = []

    def time_passes() -> None:
        frame, events = tick(playout)
        log.extend(events)
        if frame is not None:
            item = frame.decode()
            played[item] = played.get(item, 0) + 1

    for action, number, count in script:
        response, item = f"resp_{number}", f"item_{number}"
        if action == "add" and number not in ended:
            before = playout.waiting_ms
            playout.add(response, item, [item.encode()] * count)
            added = (playout.waiting_ms - before) // FRAME_MS
            assert added == (0 if item in cut else count)
            taken[item] = taken.get(item, 0) + added
        elif action == "end":
            ended.add(number)
            playout.end(response)
        elif action == "tick":
            time_passes()
        elif action == "clear":
            for one in playout.clear():
                assert one.item_id not in cut
                assert one.played_ms == played.get(one.item_id, 0) * FRAME_MS
                cut[one.item_id] = one.played_ms
                log.append(("cleared", one.response_id))
            assert playout.waiting_ms == 0
    for number in range(4):
        playout.end(f"resp_{number}")
    for _ in range(sum(taken.values()) + 1):
        time_passes()
    for item, count in taken.items():
        assert played.get(item, 0) == count or item in cut
    for number in range(4):
        kinds = [kind for kind, response in log if response == f"resp_{number}"]
        assert kinds in ([], ["started", "stopped"], ["started", "cleared"], ["cleared"])
    assert playout.next() == (None, [])
