// Where the milliseconds of each turn went: from the server's timeline, or from when its events came. No DOM.

const ENOUGH = 100; // turns that are kept

/** The page answers the calls itself, so it knows when they came. */
const TOOL = { name: 'tools', from: ['first_token', 'transcript', 'speech_stopped'], to: 'tools_called', label: 'Tool called' };

/**
 * What a turn is made of, in order: name, from which moment to which, and what it is called. Where the first moment did
 * not happen, or later, a stage begins at the next one: without a draft, work begins when the turn is over, and a model
 * that hears and speaks waits for no transcript and makes no clauses.
 */
const STAGES = [
  { name: 'silence', from: ['speech_paused'], to: 'speech_stopped', label: 'Waiting for silence' },
  { name: 'transcript', from: ['draft_started', 'speech_stopped'], to: 'transcript', label: 'Transcript' },
  TOOL,
  { name: 'first_token', from: ['tools_called', 'transcript', 'draft_started', 'speech_stopped'], to: 'first_token', label: 'First token' },
  { name: 'first_clause', from: ['first_token'], to: 'first_clause', label: 'First clause' },
  { name: 'first_audio', from: ['first_clause', 'first_token'], to: 'first_audio_made', label: 'First audio' },
  { name: 'sent', from: ['speech_stopped'], to: 'first_audio_sent', label: 'Answer begins' },
];

/** What can be told from the events alone, when the server sends no timeline. */
const SEEN = [
  { name: 'transcript', from: ['speech_stopped'], to: 'transcript', label: 'Transcript' },
  { name: 'response', from: ['speech_stopped'], to: 'response_created', label: 'Response created' },
  TOOL,
  { name: 'first_token', from: ['tools_called', 'response_created'], to: 'first_token', label: 'First words' },
  { name: 'sent', from: ['speech_stopped'], to: 'first_audio_sent', label: 'Answer begins' },
];

/**
 * Return the bars of a turn and the span of time, in ms since the turn closed, that they stand in:
 * `{ bars: [{ name, label, start, end, ms }], min, max }`. A stage whose moments are missing has no bar.
 */
export function waterfall(turn) {
  const at = turn.moments;
  const stages = turn.source === 'server' ? STAGES : SEEN;
  const bars = stages.flatMap(({ name, label, from, to }) => {
    const begins = from.find((moment) => at[moment] <= at[to]);
    return begins === undefined ? [] : [{ name, label, start: at[begins], end: at[to], ms: at[to] - at[begins] }];
  });
  const edges = bars.flatMap(({ start, end }) => [start, end]);
  return { bars, min: Math.min(0, ...edges), max: Math.max(0, ...edges) };
}

/** Return the two numbers that matter: ms from the end of the turn, and from when the pause was noticed, to the answer. */
export function answerTimes({ moments }) {
  const answered = moments.first_audio_sent ?? null;
  const noticed = Math.min(moments.speech_paused ?? Infinity, moments.draft_started ?? Infinity);
  return { afterTurn: answered, afterPause: answered === null || noticed === Infinity ? null : answered - noticed };
}

/** Return 3 to 6 round numbers of ms between `min` and `max`, for an axis. */
export function ticks(min, max) {
  const span = Math.max(1, max - min);
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= 5);
  const first = Math.ceil(min / step) * step;
  return Array.from({ length: Math.floor((max - first) / step) + 1 }, (_, index) => first + index * step);
}

/**
 * The turns of a call, the last one last. A turn: id, words, tools (those that its answer called), moments (ms since it
 * closed), source, adopted, drafts. An answer that calls tools is no answer yet: the one after it counts, and the
 * server's timeline does not know when it began.
 */
export class Turns {
  turns = [];
  #open = null; // the turn whose answer is awaited
  #responses = new Map(); // response id -> turn

  clear() {
    this.turns = [];
    this.#responses.clear();
    this.#open = null;
  }

  /** Take a server event that came at `at` ms. Return the turn that changed, or null. */
  apply(event, at) {
    switch (event.type) {
      case 'input_audio_buffer.speech_stopped':
        return this.#closed(event.item_id, at);
      case 'input_audio_buffer.committed': // by hand, without turn detection
        return this.#find(event.item_id) ? null : this.#closed(event.item_id, at);
      case 'conversation.item.input_audio_transcription.completed': {
        const turn = this.#find(event.item_id);
        if (!turn) return null;
        turn.words = event.transcript.trim();
        this.#mark(turn, 'transcript', at);
        return turn;
      }
      case 'response.created': {
        const turn = this.#open;
        this.#open = null;
        if (!turn) return null;
        this.#responses.set(event.response.id, turn);
        return this.#mark(turn, 'response_created', at);
      }
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        return this.#mark(this.#responses.get(event.response_id), 'first_token', at);
      case 'response.output_audio.delta':
      case 'output_audio_buffer.started':
        return this.#mark(this.#responses.get(event.response_id), 'first_audio_sent', at);
      case 'response.done':
        return this.#done(event.response, at);
      case 'antiphon.turn.timeline':
        return this.#told(event);
      default:
        return null;
    }
  }

  #closed(id, at) {
    const turn = {
      id,
      number: (this.turns.at(-1)?.number ?? 0) + 1,
      words: '',
      tools: [],
      closedAt: at,
      moments: { speech_stopped: 0 },
      source: 'page',
      adopted: null,
      drafts: null,
      audioMs: null,
    };
    this.turns.push(turn);
    if (this.turns.length > ENOUGH) this.turns.shift();
    this.#open = turn;
    return turn;
  }

  #done(response, at) {
    const turn = this.#responses.get(response.id);
    this.#responses.delete(response.id);
    const calls = response.status === 'completed' ? response.output.filter(({ type }) => type === 'function_call') : [];
    if (!turn || !calls.length) return this.#mark(turn, 'response_done', at);
    turn.tools.push(...calls.map(({ name }) => name));
    if (this.turns.at(-1) === turn) this.#open = turn; // unless the user has gone on
    this.#mark(turn, 'tools_called', at);
    return turn;
  }

  #mark(turn, moment, at) {
    if (!turn || turn.moments[moment] !== undefined) return null;
    if (turn.source === 'server' && !turn.tools.length) return null;
    turn.moments[moment] = Math.max(0, at - turn.closedAt);
    return turn;
  }

  #told(event) {
    const turn = this.#find(event.item_id);
    if (!turn) return null;
    turn.source = 'server';
    const { tools_called } = turn.moments;
    turn.moments = { ...(tools_called === undefined ? {} : { tools_called }), ...event.since_speech_stopped_ms };
    turn.adopted = event.adopted;
    turn.drafts = event.drafts;
    turn.audioMs = event.audio_ms;
    return turn;
  }

  #find(id) {
    return this.turns.findLast((turn) => turn.id === id) ?? null;
  }
}
