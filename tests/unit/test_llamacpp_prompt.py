"""Messages and tools become what llama.cpp's chat templates take."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.engines.base import (
    AudioPart,
    EngineError,
    GenerationRequest,
    ImagePart,
    Message,
    NamedTool,
    TextPart,
    Tool,
    ToolCall,
)
from antiphon.engines.llamacpp.prompt import Template, chat_messages, chat_tools
from antiphon.engines.llamacpp.reply import plan_reply

PLAIN = Template(tools=False, alternating=False, end_token=2)
NATIVE = Template(tools=True, alternating=False, end_token=2)
STRICT = Template(tools=False, alternating=True, end_token=2)
LAMP = Tool("lamp", "Switch a lamp.", {"type": "object", "properties": {"on": {"type": "boolean"}}})
TIME = Tool("time")


def system(text: str) -> Message:
    return Message("system", (TextPart(text),))


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


def assistant(text: str) -> Message:
    return Message("assistant", (TextPart(text),))


TOOL_ROUND = (
    user("Light, and the time?"),
    Message("assistant", (), (ToolCall("c1", "lamp", '{"on": true}'), ToolCall("c2", "time", "{}"))),
    Message("tool", (TextPart("done"),), tool_call_id="c1"),
    Message("tool", (TextPart("noon"),), tool_call_id="c2"),
)


def test_speech_stands_as_its_transcript() -> None:
    samples = np.zeros(10, np.float32)
    heard = Message("user", (AudioPart(samples, 16_000, "hello"), AudioPart(samples, 16_000), TextPart("and more")))
    assert chat_messages([heard], (), PLAIN) == [{"role": "user", "content": "hello\nand more"}]


def test_images_are_refused() -> None:
    with pytest.raises(EngineError) as caught:
        chat_messages([Message("user", (ImagePart("data:image/png;base64,AAAA"),))], (), PLAIN)
    assert caught.value.code == "unsupported"


def test_tools_are_listed_in_the_first_system_message() -> None:
    first, second = chat_messages([system("Be kind."), user("Hi")], (LAMP, TIME), PLAIN)
    assert first["role"] == "system"
    assert first["content"].startswith("Be kind.\n\n")
    assert '"name": "lamp"' in first["content"]
    assert '"name": "time"' in first["content"]
    assert second == {"role": "user", "content": "Hi"}
    assert [entry["role"] for entry in chat_messages([user("Hi")], (LAMP,), PLAIN)] == ["system", "user"]


def test_calls_and_results_are_written_out_for_a_template_that_knows_none() -> None:
    assert chat_messages(TOOL_ROUND, (), PLAIN)[1:] == [
        {
            "role": "assistant",
            "content": '<tool_call>\n{"name": "lamp", "arguments": {"on": true}}\n</tool_call>\n'
            '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>',
        },
        {
            "role": "user",
            "content": "<tool_response>\ndone\n</tool_response>\n<tool_response>\nnoon\n</tool_response>",
        },
    ]


def test_calls_and_results_stay_structured_for_a_template_that_knows_them() -> None:
    chat = chat_messages(TOOL_ROUND, (LAMP,), NATIVE)
    assert [entry["role"] for entry in chat] == ["user", "assistant", "tool", "tool"]
    assert chat[1]["tool_calls"][0] == {
        "id": "c1",
        "type": "function",
        "function": {"name": "lamp", "arguments": '{"on": true}'},
    }
    assert chat[3] == {"role": "tool", "content": "noon", "tool_call_id": "c2"}


def test_arguments_that_were_cut_short_do_not_break_a_template() -> None:
    cut = Message("assistant", (), (ToolCall("c1", "lamp", '{"on": tr'),))
    [entry] = chat_messages([cut], (), NATIVE)
    assert entry["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ((system("a"), user("b"), user("c"), assistant("d"), system("e"), user("f")), "system user assistant user"),
        ((system("a"),), "system user"),
        ((system("a"), assistant("b")), "system user assistant"),
        ((assistant("b"), assistant("c"), user("d")), "user assistant user"),
        ((), "user"),
        (TOOL_ROUND, "user assistant user"),
    ],
)
def test_turns_alternate_for_a_template_that_insists(messages: tuple[Message, ...], roles: str) -> None:
    chat = chat_messages(messages, (), STRICT)
    assert " ".join(entry["role"] for entry in chat) == roles
    spoken = "\n".join(entry["content"] for entry in chat)
    for message in messages:
        for part in message.content:
            assert isinstance(part, TextPart)
            assert part.text in spoken


def test_tools_are_not_offered_with_tool_choice_none() -> None:
    plan = plan_reply(GenerationRequest((user("Hi"),), (LAMP,), "none"), PLAIN)
    assert plan.prompt == {"messages": [{"role": "user", "content": "Hi"}]}
    assert plan.names == frozenset()
    assert not plan.sampling


def test_a_context_with_calls_and_no_tools_gets_text_only() -> None:
    plan = plan_reply(GenerationRequest(TOOL_ROUND, (LAMP,), "none"), PLAIN)
    assert "start: TEXT" in plan.sampling["grammar"]
    assert "call" not in plan.sampling["grammar"]


def test_a_named_tool_is_the_only_one_that_can_be_called_and_the_prompt_stays_the_same() -> None:
    free = plan_reply(GenerationRequest((user("Hi"),), (LAMP, TIME)), PLAIN)
    named = plan_reply(GenerationRequest((user("Hi"),), (LAMP, TIME), NamedTool("time")), PLAIN)
    assert named.prompt == free.prompt
    assert named.names == {"time"}
    assert '"lamp' not in named.sampling["grammar"]
    assert named.must_call
    assert not free.must_call


def test_a_template_with_tools_is_given_them_and_a_grammar_where_a_call_is_forced() -> None:
    free = plan_reply(GenerationRequest((user("Hi"),), (LAMP, TIME)), NATIVE)
    assert free.prompt["tools"] == chat_tools((LAMP, TIME))
    assert "grammar" not in free.sampling
    assert not free.from_text
    forced = plan_reply(GenerationRequest((user("Hi"),), (LAMP, TIME), "required"), NATIVE)
    assert forced.from_text
    assert "grammar" in forced.sampling


@pytest.mark.parametrize("choice", ["required", NamedTool("bomb")])
def test_a_choice_without_a_tool_is_refused(choice: NamedTool) -> None:
    tools = (LAMP,) if isinstance(choice, NamedTool) else ()
    with pytest.raises(EngineError) as caught:
        plan_reply(GenerationRequest((user("Hi"),), tools, choice), PLAIN)
    assert caught.value.code == "unsupported"
