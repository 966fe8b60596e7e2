"""Silencing speech that is playing: the client is told, and what was not heard leaves the conversation."""

from __future__ import annotations

from antiphon.protocol.frames import server_event
from antiphon.session.state import SessionState


async def stop_playback(state: SessionState) -> None:
    """Silence the transport's player, if it has one, and truncate what it was saying to what was played."""
    if state.player is None:
        return
    told: set[str] = set()
    for cut in state.player.clear():
        if cut.started and cut.response_id not in told:
            told.add(cut.response_id)
            await state.emit(server_event("output_audio_buffer.cleared", response_id=cut.response_id))
        item = state.conversation.find(cut.item_id)
        audio = item.audio.get(0) if item is not None else None
        if audio is None:  # out of band, or deleted meanwhile
            continue
        # The last frame is filled up with silence, and the client may have truncated the item itself.
        played_ms = min(cut.played_ms, audio.duration_ms)
        state.conversation.truncate(cut.item_id, 0, played_ms)
        await state.emit(
            server_event("conversation.item.truncated", item_id=cut.item_id, content_index=0, audio_end_ms=played_ms)
        )
