"""What each client event does, except for audio."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from antiphon.pipeline.voices import voice_names
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import server_event
from antiphon.session.config import ResponseConfig, response_config
from antiphon.session.conversation import APPEND, Item
from antiphon.session.drafting import Drafting
from antiphon.session.items import check_call_id, item_from_client, retrieved
from antiphon.session.playback import stop_playback
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState
from antiphon.session.turns import TurnTaking
from antiphon.session.user_items import UserItems


class ClientEvents:
    """Handles checked client events, one at a time.

    Args:
        expires_at: Unix time, s, at which the session ends.
        same_model: tells whether a name that the client gives means the model of the session.
    """

    def __init__(
        self,
        state: SessionState,
        *,
        responses: Responses,
        turns: TurnTaking,
        drafting: Drafting,
        items: UserItems,
        expires_at: int,
        same_model: Callable[[str], bool],
    ) -> None:
        self._state = state
        self._responses = responses
        self._turns = turns
        self._drafting = drafting
        self._items = items
        self._expires_at = expires_at
        self._same_model = same_model

    async def handle(self, event: dict[str, Any]) -> None:
        """Do what `event` asks for.

        Raises:
            ProtocolError: it cannot be done; nothing has changed.
        """
        match event["type"]:
            case "session.update":
                await self._update_session(event["session"])
            case "input_audio_buffer.commit":
                await self._turns.commit()
            case "input_audio_buffer.clear":
                await self._turns.clear()
            case "output_audio_buffer.clear":
                await stop_playback(self._state)
                await self._turns.reply_cut()
            case "conversation.item.create":
                await self._create_item(event)
            case "conversation.item.retrieve":
                await self._retrieve_item(event["item_id"])
            case "conversation.item.truncate":
                await self._truncate_item(event["item_id"], event["content_index"], event["audio_end_ms"])
                await self._turns.reply_cut()
            case "conversation.item.delete":
                self._state.conversation.delete(event["item_id"])
                await self._state.emit(server_event("conversation.item.deleted", item_id=event["item_id"]))
            case "response.create":
                await self._create_response(event.get("response"))
            case "response.cancel":
                await self._responses.cancel(event.get("response_id"), "client_cancelled")
                await self._turns.reply_cut()
            case kind:
                raise ProtocolError(f"'{kind}' has no meaning over this transport.", code="invalid_value", param="type")

    async def _update_session(self, update: dict[str, Any]) -> None:
        before = self._state.config
        after = before.updated(
            update,
            assistant_audio_present=self._responses.assistant_audio_present,
            voices=voice_names(self._state.pipeline.voices),
            same_model=self._same_model,
        )
        if after.output.speed != before.output.speed and self._responses.busy:
            raise ProtocolError(
                "Cannot change the speed while a response is in progress.",
                code="invalid_value",
                param="session.audio.output.speed",
            )
        self._state.config = after
        await self._state.emit(server_event("session.updated", session=after.wire(self._state.id, self._expires_at)))
        await self._turns.configure(before, after)

    async def _create_item(self, event: dict[str, Any]) -> None:
        conversation = self._state.conversation
        item = self._item(event["item"], "item")
        conversation.check_new(item.id)
        check_call_id(item, conversation)
        after = event.get("previous_item_id") or APPEND
        previous = conversation.add(item, after)
        self._items.transcribe_created(item)
        shown = copy.deepcopy(item.wire)
        await self._state.emit_all(
            [
                server_event("conversation.item.added", previous_item_id=previous, item=shown),
                server_event("conversation.item.done", previous_item_id=previous, item=shown),
            ]
        )

    async def _retrieve_item(self, item_id: str) -> None:
        item = self._state.conversation.require(item_id, "retrieving")
        config = self._state.config
        shown = retrieved(item, input_format=config.input.format, output_format=config.output.format)
        await self._state.emit(server_event("conversation.item.retrieved", item=shown))

    async def _truncate_item(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        self._state.conversation.truncate(item_id, content_index, audio_end_ms)
        await self._state.emit(
            server_event(
                "conversation.item.truncated",
                item_id=item_id,
                content_index=content_index,
                audio_end_ms=audio_end_ms,
            )
        )

    async def _create_response(self, response: dict[str, Any] | None) -> None:
        if self._state.config.type == "transcription":
            raise ProtocolError("A transcription session makes no responses.", code="invalid_parameter", param="type")
        config = response_config(self._state.config, response, voices=voice_names(self._state.pipeline.voices))
        self._responses.check_can_create(config)
        context = self._context(config)
        ready = self._drafting.take_ready(config) if config.conversation == "auto" and context is None else None
        reply, timeline = ready if ready is not None else (None, None)
        await self._responses.create(replace(config, input=None), context=context, timeline=timeline, draft=reply)

    def _context(self, config: ResponseConfig) -> list[Item] | None:
        """Return the items that the response is asked to answer; None for the conversation."""
        if config.input is None:
            return None
        items: list[Item] = []
        for index, wire in enumerate(config.input):
            param = f"response.input[{index}]"
            if wire["type"] == "item_reference":
                known = self._state.conversation.find(wire["id"])
                if known is None:
                    raise ProtocolError(
                        f"Error creating response: the item with id '{wire['id']}' does not exist.",
                        code="item_reference_invalid_item_id",
                        param=f"{param}.id",
                    )
                items.append(known)
            else:
                items.append(self._item(wire, param))
        for item in items:
            self._items.transcribe_created(item)
        return items

    def _item(self, wire: dict[str, Any], param: str) -> Item:
        return item_from_client(
            wire,
            audio_format=self._state.config.input.format,
            sees=self._state.pipeline.supports_images,
            param=param,
        )
