// The conversation as it is told: who said what, how much of it was heard, and where it was cut. No DOM.

const ENOUGH = 400; // entries that are kept

/**
 * An entry is what one item says:
 *   id, kind ('user' | 'assistant' | 'tool' | 'notice'), text,
 *   state ('speaking' | 'transcribing' | 'answering' | 'done' | 'failed'),
 *   heard: characters that were played, null when that is not counted,
 *   cut: { ms } when the rest was never heard,
 *   tool: { name, arguments, output } of a function call.
 */
export class Transcript {
  entries = [];
  #byId = new Map();
  #marks = new Map(); // item id -> [[ms of audio, characters]…]: how far the text had come when the audio had
  #notices = 0;

  entry(id) {
    return this.#byId.get(id) ?? null;
  }

  clear() {
    this.entries = [];
    this.#byId.clear();
    this.#marks.clear();
  }

  /** Add something that nobody said. Return the ids of what changed. */
  notice(text, state = 'done') {
    this.#notices += 1;
    return this.#change(`notice-${this.#notices}`, { kind: 'notice', text, state });
  }

  /** Take a server event. Return the ids of the entries that changed. */
  apply(event) {
    switch (event.type) {
      case 'input_audio_buffer.speech_started':
        return this.#change(event.item_id, { kind: 'user', state: 'speaking' });
      case 'input_audio_buffer.speech_stopped':
      case 'input_audio_buffer.committed':
        if (this.entry(event.item_id)?.state === 'done') return [];
        return this.#change(event.item_id, { kind: 'user', state: 'transcribing' });
      case 'conversation.item.input_audio_transcription.delta':
        return this.#append(event.item_id, event.delta, { kind: 'user' });
      case 'conversation.item.input_audio_transcription.completed':
        return this.#change(event.item_id, { kind: 'user', text: event.transcript.trim(), state: 'done' });
      case 'conversation.item.input_audio_transcription.failed':
        return this.#change(event.item_id, { kind: 'user', text: event.error.message ?? '', state: 'failed' });
      case 'conversation.item.added':
        return this.#added(event.item);
      case 'conversation.item.retrieved':
        return this.#retrieved(event.item);
      case 'conversation.item.truncated':
        return this.#truncated(event.item_id, event.audio_end_ms);
      case 'conversation.item.deleted':
        return this.#remove(event.item_id);
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        return this.#append(event.item_id, event.delta, { kind: 'assistant' });
      case 'response.output_audio_transcript.done':
        return this.#change(event.item_id, { kind: 'assistant', text: event.transcript });
      case 'response.output_text.done':
        return this.#change(event.item_id, { kind: 'assistant', text: event.text });
      case 'response.output_audio.delta':
        return this.#spoken(event.item_id, event.duration_ms);
      case 'response.function_call_arguments.delta':
        return this.#argue(event.item_id, (entry) => entry.tool.arguments + event.delta);
      case 'response.function_call_arguments.done':
        return this.#argue(event.item_id, () => event.arguments);
      case 'response.output_item.done':
        return this.entry(event.item.id) ? this.#change(event.item.id, { state: 'done' }) : [];
      case 'response.done':
        return this.#finished(event.response);
      case 'error':
        return this.notice(event.error.message, 'failed');
      default:
        return [];
    }
  }

  /** Take note that `ms` of an item's speech were heard. Return the ids of what changed. */
  played(id, ms) {
    const entry = this.entry(id);
    if (!entry || entry.cut || entry.heard === null) return [];
    const heard = Math.max(entry.heard, this.charactersAt(id, ms));
    return heard === entry.heard ? [] : this.#change(id, { heard });
  }

  /** Return how many characters of an item had been said after `ms` of its speech, at the end of a word. */
  charactersAt(id, ms) {
    const text = this.entry(id)?.text ?? '';
    let before = [0, 0];
    for (const mark of this.#marks.get(id) ?? []) {
      if (mark[0] >= ms) {
        const share = (ms - before[0]) / (mark[0] - before[0] || 1);
        return endOfWord(text, Math.round(before[1] + share * (mark[1] - before[1])));
      }
      before = mark;
    }
    return endOfWord(text, before[1]);
  }

  /** Return what was said so far, as items for another session. */
  items() {
    return this.entries
      .filter((entry) => (entry.kind === 'user' || entry.kind === 'assistant') && entry.state === 'done')
      .map(({ id, kind, text, cut, heard }) => ({ id, role: kind, text: cut ? text.slice(0, heard ?? 0).trim() : text }))
      .filter(({ text }) => text)
      .map(({ id, role, text }) => ({
        id,
        type: 'message',
        role,
        content: [{ type: role === 'user' ? 'input_text' : 'output_text', text }],
      }));
  }

  #added(item) {
    if (item.type === 'function_call') {
      const tool = { name: item.name, callId: item.call_id, arguments: item.arguments ?? '', output: null };
      return this.#change(item.id, { kind: 'tool', state: 'answering', tool });
    }
    if (item.type === 'function_call_output') {
      const call = this.entries.find((entry) => entry.tool?.callId === item.call_id);
      return call ? this.#change(call.id, { tool: { ...call.tool, output: item.output } }) : [];
    }
    if (item.type !== 'message' || item.role === 'system') return [];
    if (this.entry(item.id)?.state === 'done') return []; // a new session is told what was said in the last one
    const text = wordsOf(item);
    if (item.role === 'assistant') return this.#change(item.id, { kind: 'assistant', state: text ? 'done' : 'answering', text });
    const spoken = item.content.some((part) => part.type === 'input_audio');
    if (!spoken) return this.#change(item.id, { kind: 'user', state: 'done', text });
    return this.entry(item.id) ? [] : this.#change(item.id, { kind: 'user', state: 'transcribing' });
  }

  #spoken(id, ms) {
    const entry = this.entry(id);
    if (!entry || !ms) return [];
    const marks = this.#marks.get(id) ?? [];
    this.#marks.set(id, [...marks, [(marks.at(-1)?.[0] ?? 0) + ms, entry.text.length]]);
    return entry.heard === null && !entry.cut ? this.#change(id, { heard: 0 }) : [];
  }

  #truncated(id, ms) {
    const entry = this.entry(id);
    if (!entry) return [];
    const heard = this.#marks.has(id) ? this.charactersAt(id, ms) : entry.heard;
    return this.#change(id, { cut: { ms }, heard, state: 'done' });
  }

  /** The server's copy of an item that was cut ends at the last word that was heard. */
  #retrieved(item) {
    const entry = this.entry(item.id);
    const kept = wordsOf(item);
    if (!entry?.cut || !entry.text.startsWith(kept)) return [];
    return this.#change(item.id, { heard: kept.length });
  }

  #finished(response) {
    const changed = response.output
      .filter((item) => this.entry(item.id)?.state === 'answering')
      .flatMap((item) => this.#change(item.id, { state: 'done' }));
    if (response.status !== 'failed') return changed;
    const reason = response.status_details?.error?.message ?? 'The answer failed.';
    return [...changed, ...this.notice(reason, 'failed')];
  }

  #argue(id, next) {
    const entry = this.entry(id);
    return entry ? this.#change(id, { tool: { ...entry.tool, arguments: next(entry) } }) : [];
  }

  #append(id, delta, changes) {
    const entry = this.entry(id);
    if (entry?.cut) return [];
    return this.#change(id, { ...changes, text: (entry?.text ?? '') + delta });
  }

  #change(id, changes) {
    const entry = this.#byId.get(id);
    if (entry) {
      Object.assign(entry, changes);
      return [id];
    }
    const created = { id, kind: 'user', text: '', state: 'answering', heard: null, cut: null, tool: null, ...changes };
    this.#byId.set(id, created);
    this.entries.push(created);
    if (this.entries.length <= ENOUGH) return [id];
    return [id, ...this.#remove(this.entries[0].id)];
  }

  #remove(id) {
    if (!this.#byId.delete(id)) return [];
    this.#marks.delete(id);
    this.entries = this.entries.filter((entry) => entry.id !== id);
    return [id];
  }
}

function wordsOf(item) {
  return (item.content ?? []).map((part) => part.transcript ?? part.text ?? '').join('');
}

function endOfWord(text, at) {
  if (at >= text.length) return text.length;
  const next = text.slice(at).search(/\s/);
  return next < 0 ? text.length : at + next;
}
