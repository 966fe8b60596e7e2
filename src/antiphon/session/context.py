"""Asking the model: the context of a reply, fitted to what the model can take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from antiphon.engines.base import (
    HEARING_RATE,
    AudioPart,
    GenerationRequest,
    Message,
    Priority,
    Samples,
    TextPart,
    Tool,
)
from antiphon.pipeline.reply import ReplyRequest
from antiphon.pipeline.voices import resolve_voice
from antiphon.session.config import ResponseConfig
from antiphon.session.conversation import Item
from antiphon.session.history import ContextTooLong, Exchange, certainly_fits, exchanges, first_kept
from antiphon.session.state import SessionState

_REPLY_TOKENS = 512
"""Tokens of the context that are left free for a reply without a limit of its own."""


@dataclass(slots=True)
class HistoryStart:
    """Where the part of the conversation begins that the model is still given.

    It only moves when something must go, so that the prefix stays the same and in the model's cache meanwhile.
    """

    item_id: str | None = None


def prepare_request(
    state: SessionState,
    config: ResponseConfig,
    items: Sequence[Item],
    *,
    history_start: HistoryStart | None,
    said: str | Samples | None = None,
    priority: Priority = Priority.LIVE,
) -> Callable[[], Awaitable[ReplyRequest]]:
    """Return what makes the request for a reply to `items` as they are now.

    Args:
        state: the session's.
        config: what the response is asked for.
        items: the context's items.
        history_start: kept up to date for the default conversation; None for a context of its own.
        said: what the user has said in a turn that is not an item yet; as audio (float32 at 16 kHz) for a model that
            hears.
        priority: of the engines' work.
    """
    found = exchanges(items, hears=state.pipeline.supports_audio)
    if said is not None:
        part = TextPart(said) if isinstance(said, str) else AudioPart(said, HEARING_RATE)
        found.append(Exchange("", (Message("user", (part,)),)))
    truncation = state.config.truncation
    tools = tuple(Tool(tool.name, tool.description or "", tool.parameters or {}) for tool in config.tools)
    system = (Message("system", (TextPart(config.instructions),)),) if config.instructions else ()

    async def prepare() -> ReplyRequest:
        kept = found
        limit = state.pipeline.context_tokens
        if limit is not None or not isinstance(truncation, str):
            kept = await _fit(limit)
        messages = system + tuple(message for exchange in kept for message in exchange.messages)
        generation = GenerationRequest(
            messages=messages,
            tools=tools,
            tool_choice=config.tool_choice,
            parallel_tool_calls=config.parallel_tool_calls is not False,
            max_tokens=config.max_output_tokens,
            cache_key=state.id if history_start is not None else None,
            priority=priority,
        )
        transcription = state.config.input.transcription
        return ReplyRequest(
            generation,
            config.modality,
            voice=resolve_voice(config.voice, state.pipeline.voices),
            speed=config.speed,
            language=transcription.language if transcription else None,
        )

    async def _fit(limit: int | None) -> list[Exchange]:
        kept = found
        if history_start is not None and history_start.item_id is not None:
            ids = [exchange.item_id for exchange in found]
            if history_start.item_id in ids:
                kept = found[ids.index(history_start.item_id) :]
        reserve = min(config.max_output_tokens or _REPLY_TOKENS, (limit or 0) // 2)
        budget = limit - reserve if limit is not None else 1 << 30
        everything = [message for exchange in kept for message in exchange.messages]
        if isinstance(truncation, str) and certainly_fits([*system, *everything], tools, budget):
            return kept
        count = state.pipeline.count_tokens
        budget -= await count(system, tools)
        if budget <= 0:
            raise ContextTooLong
        counts = [await count(exchange.messages) for exchange in kept]
        first = first_kept(counts, budget, truncation)
        if first and history_start is not None:
            history_start.item_id = kept[first].item_id or None
        return kept[first:]

    return prepare
