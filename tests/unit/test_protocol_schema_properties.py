"""Any valid client event passes, and one mistake anywhere in it gives one error with the path of that mistake.

The shapes below are written from the protocol's tables, apart from the types that the schema is compiled from.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.schema import parse_client_event

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Leaf:
    """A value without parts: how to draw it, a value of a wrong type, and wrong values with their codes."""

    values: st.SearchStrategy[Any]
    wrong_type: Any = 17
    wrong: tuple[tuple[Any, str], ...] = ()


@dataclass(frozen=True)
class Obj:
    required: Mapping[str, Shape] = field(default_factory=dict)
    optional: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True)
class Arr:
    item: Shape
    max_size: int = 2


@dataclass(frozen=True)
class OneOf:
    shapes: tuple[Shape, ...]


Shape = Leaf | Obj | Arr | OneOf

TEXT = Leaf(st.text(max_size=20))
NAME = Leaf(st.text("abcXYZ_-9", min_size=1, max_size=12), wrong=(("a.b", "invalid_value"), ("", "invalid_value")))
ITEM_ID = Leaf(st.text("abc123_-", min_size=1, max_size=32), wrong=(("x" * 33, "string_above_max_length"),))
FLAG = Leaf(st.booleans(), wrong_type="true")
FREE = Leaf(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.lists(st.text(max_size=3))), "{}")
METADATA = Leaf(
    st.dictionaries(st.text(max_size=64), st.text(max_size=20), max_size=16),
    wrong=(({str(n): "" for n in range(17)}, "object_above_max_properties"),),
)
PNG = Leaf(
    st.just("data:image/png;base64,iVBORw0KGgo="), wrong=(("http://x/y.png", "invalid_value"), ("", "invalid_value"))
)


def tag(value: str) -> Leaf:
    return Leaf(st.just(value), wrong=(("nonsense", "invalid_value"), ("", "invalid_value")))


def choice(*values: str) -> Leaf:
    return Leaf(st.sampled_from(values), wrong=(("nonsense", "invalid_value"),))


def integer(low: int, high: int | None = None) -> Leaf:
    wrong: tuple[tuple[Any, str], ...] = ((low - 1, "integer_below_min_value"), (low + 0.5, "invalid_type"))
    if high is not None:
        wrong += ((high + 1, "integer_above_max_value"),)
    return Leaf(st.integers(low, high), "17", wrong)


def decimal(low: float, high: float) -> Leaf:
    wrong = ((low - 0.01, "decimal_below_min_value"), (high + 0.01, "decimal_above_max_value"))
    return Leaf(st.floats(low, high), "17", wrong)


FORMAT = OneOf(
    (
        Obj({"type": tag("audio/pcm")}, {"rate": integer(24000, 24000)}),
        Obj({"type": tag("audio/pcmu")}),
        Obj({"type": tag("audio/pcma")}),
    )
)
TOOLS = Arr(
    OneOf(
        (
            Obj({"type": tag("function"), "name": NAME}, {"description": TEXT, "parameters": FREE}),
            Obj(
                {"type": tag("mcp"), "server_label": TEXT},
                {
                    "server_url": TEXT,
                    "tunnel_id": TEXT,
                    "defer_loading": FLAG,
                    "allowed_tools": OneOf((Arr(TEXT), Obj({}, {"tool_names": Arr(TEXT), "read_only": FLAG}))),
                },
            ),
        )
    )
)
TOOL_CHOICE = OneOf((choice("auto", "none", "required"), Obj({"type": tag("function"), "name": TEXT})))
MAX_TOKENS = OneOf((integer(1, 4096), choice("inf")))
VOICE = OneOf((TEXT, Obj({"id": TEXT})))
PROMPT = Obj({"id": TEXT}, {"version": TEXT})
REASONING = Obj({}, {"effort": choice("minimal", "low", "medium", "high", "xhigh")})
MODALITIES = Arr(choice("audio", "text"))
INPUT = Obj(
    {},
    {
        "format": FORMAT,
        "transcription": Obj(
            {},
            {
                "model": TEXT,
                "language": TEXT,
                "prompt": TEXT,
                "languages": Arr(TEXT),
                "keywords": Arr(TEXT),
                "delay": choice("minimal", "low", "medium", "high", "xhigh"),
            },
        ),
        "noise_reduction": Obj({}, {"type": choice("near_field", "far_field"), "strength": decimal(0, 1)}),
        "turn_detection": OneOf(
            (
                Obj(
                    {"type": tag("server_vad")},
                    {
                        "threshold": decimal(0, 1),
                        "prefix_padding_ms": integer(0, 10_000),
                        "silence_duration_ms": integer(0, 60_000),
                        "idle_timeout_ms": integer(5000, 30000),
                        "create_response": FLAG,
                        "interrupt_response": FLAG,
                    },
                ),
                Obj(
                    {"type": tag("semantic_vad")},
                    {
                        "eagerness": choice("low", "medium", "high", "auto"),
                        "create_response": FLAG,
                        "interrupt_response": FLAG,
                    },
                ),
            )
        ),
    },
)
INCLUDE = Arr(choice("item.input_audio_transcription.logprobs"))
SESSION = OneOf(
    (
        Obj(
            {"type": tag("realtime")},
            {
                "model": TEXT,
                "output_modalities": MODALITIES,
                "instructions": TEXT,
                "tools": TOOLS,
                "tool_choice": TOOL_CHOICE,
                "max_output_tokens": MAX_TOKENS,
                "tracing": OneOf((choice("auto"), Obj({}, {"workflow_name": TEXT, "metadata": FREE}))),
                "truncation": OneOf(
                    (
                        choice("auto", "disabled"),
                        Obj(
                            {"type": tag("retention_ratio"), "retention_ratio": decimal(0, 1)},
                            {"token_limits": Obj({}, {"post_instructions": integer(0)})},
                        ),
                    )
                ),
                "prompt": PROMPT,
                "include": INCLUDE,
                "parallel_tool_calls": FLAG,
                "reasoning": REASONING,
                "audio": Obj(
                    {},
                    {
                        "input": INPUT,
                        "output": Obj({}, {"format": FORMAT, "voice": VOICE, "speed": decimal(0.25, 1.5)}),
                    },
                ),
            },
        ),
        Obj({"type": tag("transcription")}, {"include": INCLUDE, "audio": Obj({}, {"input": INPUT})}),
    )
)
ITEM_FIELDS = {
    "id": ITEM_ID,
    "status": choice("completed", "incomplete", "in_progress"),
    "object": tag("realtime.item"),
}
INPUT_TEXT = Obj({"type": tag("input_text"), "text": TEXT})
USER_PART = OneOf(
    (
        INPUT_TEXT,
        Obj({"type": tag("input_audio"), "audio": TEXT}, {"transcript": TEXT}),
        Obj({"type": tag("input_image"), "image_url": PNG}, {"detail": choice("auto", "low", "high")}),
    )
)
ITEMS = (
    Obj({"type": tag("message"), "role": tag("system"), "content": Arr(INPUT_TEXT)}, ITEM_FIELDS),
    Obj({"type": tag("message"), "role": tag("user"), "content": Arr(USER_PART)}, ITEM_FIELDS),
    Obj(
        {
            "type": tag("message"),
            "role": tag("assistant"),
            "content": Arr(Obj({"type": tag("output_text"), "text": TEXT})),
        },
        ITEM_FIELDS,
    ),
    Obj({"type": tag("function_call"), "name": TEXT, "arguments": TEXT}, {**ITEM_FIELDS, "call_id": TEXT}),
    Obj({"type": tag("function_call_output"), "call_id": TEXT, "output": TEXT}, ITEM_FIELDS),
    Obj(
        {"type": tag("mcp_approval_response"), "approval_request_id": TEXT, "approve": FLAG},
        {"id": ITEM_ID, "reason": TEXT},
    ),
)
RESPONSE = Obj(
    {},
    {
        "conversation": choice("auto", "none"),
        "metadata": METADATA,
        "input": Arr(OneOf((*ITEMS, Obj({"type": tag("item_reference"), "id": TEXT})))),
        "output_modalities": MODALITIES,
        "instructions": TEXT,
        "audio": Obj({}, {"output": Obj({}, {"format": FORMAT, "voice": VOICE})}),
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "max_output_tokens": MAX_TOKENS,
        "parallel_tool_calls": FLAG,
        "reasoning": REASONING,
        "prompt": PROMPT,
    },
)
EVENT_ID = {"event_id": Leaf(st.text(max_size=20), wrong=(("e" * 513, "string_above_max_length"),))}
EVENTS = OneOf(
    (
        Obj({"type": tag("session.update"), "session": SESSION}, EVENT_ID),
        Obj({"type": tag("conversation.item.create"), "item": OneOf(ITEMS)}, {**EVENT_ID, "previous_item_id": TEXT}),
        Obj({"type": tag("response.create")}, {**EVENT_ID, "response": RESPONSE}),
        Obj({"type": tag("input_audio_buffer.append"), "audio": TEXT}, EVENT_ID),
        Obj({"type": tag("input_audio_buffer.commit")}, EVENT_ID),
        Obj({"type": tag("input_audio_buffer.clear")}, EVENT_ID),
        Obj(
            {
                "type": tag("conversation.item.truncate"),
                "item_id": TEXT,
                "content_index": integer(0),
                "audio_end_ms": integer(0),
            },
            EVENT_ID,
        ),
        Obj({"type": tag("conversation.item.delete"), "item_id": TEXT}, EVENT_ID),
        Obj({"type": tag("conversation.item.retrieve"), "item_id": TEXT}, EVENT_ID),
        Obj({"type": tag("response.cancel")}, {**EVENT_ID, "response_id": TEXT}),
    )
)


Keys = tuple[str | int, ...]
REMOVE = object()


@dataclass(frozen=True)
class Mistake:
    """One mistake: which value of the event to replace or remove, and the code and path of the error that it gives."""

    keys: Keys
    value: Any
    code: str

    @property
    def param(self) -> str:
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys).removeprefix(".")

    def made_in(self, event: dict[str, Any]) -> dict[str, Any]:
        event = copy.deepcopy(event)
        parent: Any = event
        for key in self.keys[:-1]:
            parent = parent[key]
        if self.value is REMOVE:
            del parent[self.keys[-1]]
        else:
            parent[self.keys[-1]] = self.value
        return event


class Drawn:
    """An event drawn from a shape, with the mistakes that can be made in it."""

    def __init__(self, draw: Draw, shape: Shape) -> None:
        self._draw = draw
        self._found: list[Mistake] = []
        self.event: dict[str, Any] = self._value(shape, ())
        # That there is a type at all, and that it is a string, is found by decode_frame.
        self.mistakes = [one for one in self._found if one.keys != ("type",) or one.code == "invalid_value"]

    def _value(self, shape: Shape, keys: Keys) -> Any:
        if isinstance(shape, OneOf):
            if keys:
                self._add(keys, True, "invalid_type")
            chosen = self._draw(st.sampled_from(shape.shapes))
            return self._leaf(chosen, keys) if isinstance(chosen, Leaf) else self._value(chosen, keys)
        if isinstance(shape, Leaf):
            self._add(keys, shape.wrong_type, "invalid_type")
            return self._leaf(shape, keys)
        if keys:
            self._add(keys, 17, "invalid_type")
        if isinstance(shape, Arr):
            size = self._draw(st.integers(0, shape.max_size))
            return [self._value(shape.item, (*keys, index)) for index in range(size)]
        self._add((*keys, "zzz"), None, "unknown_parameter")
        for name in shape.required:
            self._add((*keys, name), REMOVE, "missing_required_parameter")
            self._add((*keys, name), None, "invalid_type")
        present = {name: part for name, part in shape.optional.items() if self._draw(st.booleans())}
        return {name: self._value(part, (*keys, name)) for name, part in {**shape.required, **present}.items()}

    def _leaf(self, leaf: Leaf, keys: Keys) -> Any:
        for value, code in leaf.wrong:
            self._add(keys, value, code)
        return self._draw(leaf.values)

    def _add(self, keys: Keys, value: Any, code: str) -> None:
        self._found.append(Mistake(keys, value, code))


@st.composite
def drawn_events(draw: Draw) -> Drawn:
    return Drawn(draw, EVENTS)


SETTINGS = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


@given(drawn_events())
@SETTINGS
def test_any_valid_event_passes_unchanged(drawn: Drawn) -> None:
    before = copy.deepcopy(drawn.event)
    assert parse_client_event(drawn.event) is drawn.event
    assert drawn.event == before


@given(drawn_events())
@SETTINGS
def test_any_one_mistake_gives_one_error_with_its_path(drawn: Drawn) -> None:
    for mistake in drawn.mistakes:
        with pytest.raises(ProtocolError) as caught:
            parse_client_event(mistake.made_in(drawn.event))
        error = caught.value
        assert (error.code, error.param) == (mistake.code, mistake.param)
        assert error.event_id == (None if mistake.param == "event_id" else drawn.event.get("event_id"))
