// The raw events, shortened and counted. No DOM.

const ENOUGH = 1_000; // entries that are kept
const LONG = 120; // characters beyond which base64 is taken for audio
const AUDIO = new Set(['input_audio_buffer.append', 'response.output_audio.delta']);
const NEAR = 3; // entries; both kinds of audio come at once and make two runs

/** Return a copy of an event in which audio is only named by its size. */
export function shortened(value, key = '') {
  if (typeof value === 'string') {
    const audio = (key === 'audio' || key === 'delta' || key === 'data') && value.length > LONG && /^[\w+/]+=*$/.test(value);
    return audio ? `${value.slice(0, 24)}… (${value.length} characters)` : value;
  }
  if (Array.isArray(value)) return value.map((part) => shortened(part));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shortened(part, name)]));
  }
  return value;
}

/** The last events. A run of audio makes one entry, which shows the last of them: number, direction, at, event, count. */
export class EventRecord {
  entries = [];
  paused = false;
  missed = 0;
  #made = 0;

  clear() {
    this.entries = [];
    this.missed = 0;
  }

  /** Take an event. Return its entry, or null while paused. */
  add(direction, event, at) {
    if (this.paused) {
      this.missed += 1;
      return null;
    }
    const run = AUDIO.has(event.type) && this.entries.slice(-NEAR).find((entry) => entry.event.type === event.type);
    if (run) {
      run.count += 1;
      run.event = shortened(event);
      return run;
    }
    this.#made += 1;
    const entry = { number: this.#made, direction, at, event: shortened(event), count: 1 };
    this.entries.push(entry);
    if (this.entries.length > ENOUGH) this.entries.shift();
    return entry;
  }

  /** Return the entries whose type or content has `text` in it. */
  matching(text) {
    return this.entries.filter((entry) => matches(entry, text));
  }

  /** Return entries as lines of JSON. */
  static lines(entries) {
    return entries
      .map(({ direction, at, count, event }) => JSON.stringify({ at_ms: Math.round(at), direction, count, event }))
      .join('\n');
  }
}

/** Tell whether an entry has `text` in it; an empty text is in all. */
export function matches(entry, text) {
  const wanted = text.trim().toLowerCase();
  return !wanted || entry.event.type.includes(wanted) || JSON.stringify(entry.event).toLowerCase().includes(wanted);
}
