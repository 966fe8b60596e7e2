// Shows the raw events, and lets them be searched, held, copied and kept.

import { element } from './dom.js';
import { EventRecord, matches } from './event-record.js';

const SHOWN = 400; // entries in the page at most; the record keeps more
const NEAR_END_PX = 40;
const COPIED_MS = 1_500;

export class EventLog {
  #record = new EventRecord();
  #parts;
  #shown = new Map(); // entry -> its element
  #changed = new Set();
  #since = null;

  /** `parts`: list, nothing, filter, pause, copy, download, clear, count. */
  constructor(parts) {
    this.#parts = parts;
    parts.filter.addEventListener('input', () => this.#showAll());
    parts.pause.addEventListener('click', () => this.#pause());
    parts.copy.addEventListener('click', () => this.#copy());
    parts.download.addEventListener('click', () => this.#download());
    parts.clear.addEventListener('click', () => this.clear());
  }

  add(direction, event, at) {
    this.#since ??= at;
    const entry = this.#record.add(direction, event, at - this.#since);
    if (!this.#changed.size) requestAnimationFrame(() => this.#showChanges());
    this.#changed.add(entry);
  }

  clear() {
    this.#record.clear();
    this.#since = null;
    this.#showAll();
  }

  #showChanges() {
    const { list, filter, pause } = this.#parts;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX;
    for (const entry of this.#changed) {
      if (!entry || !matches(entry, filter.value)) continue;
      const made = row(entry);
      const before = this.#shown.get(entry);
      if (before) {
        made.firstElementChild.open = before.firstElementChild.open;
        before.replaceWith(made);
      } else list.append(made);
      this.#shown.set(entry, made);
    }
    this.#changed.clear();
    for (const [entry, shown] of this.#shown) {
      if (this.#shown.size <= SHOWN) break;
      shown.remove();
      this.#shown.delete(entry);
    }
    if (this.#record.paused) pause.textContent = this.#record.missed ? `Resume (${this.#record.missed} missed)` : 'Resume';
    this.#count();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  #showAll() {
    this.#shown.clear();
    const entries = this.#record.matching(this.#parts.filter.value).slice(-SHOWN);
    this.#parts.list.replaceChildren(
      ...entries.map((entry) => {
        const made = row(entry);
        this.#shown.set(entry, made);
        return made;
      }),
    );
    this.#count();
  }

  #count() {
    const { count, nothing, filter } = this.#parts;
    count.textContent = this.#record.entries.length || '';
    nothing.hidden = this.#shown.size > 0;
    nothing.textContent = filter.value ? 'No event has this in it.' : 'Everything that is sent and received shows here.';
  }

  #pause() {
    const { pause } = this.#parts;
    this.#record.paused = !this.#record.paused;
    this.#record.missed = 0;
    pause.setAttribute('aria-pressed', String(this.#record.paused));
    pause.textContent = this.#record.paused ? 'Resume' : 'Pause';
  }

  #lines() {
    return EventRecord.lines(this.#record.matching(this.#parts.filter.value));
  }

  async #copy() {
    const { copy } = this.#parts;
    try {
      await navigator.clipboard.writeText(this.#lines());
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Not allowed';
    }
    setTimeout(() => (copy.textContent = 'Copy'), COPIED_MS);
  }

  #download() {
    const url = URL.createObjectURL(new Blob([`${this.#lines()}\n`], { type: 'application/jsonl' }));
    const link = element('a', { href: url, download: 'antiphon-events.jsonl' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url));
  }
}

/** Return the words that an event is about, if it is about words. */
function gist({ type, delta, transcript, text, error }) {
  const words = type.endsWith('audio.delta') ? null : (delta ?? transcript ?? text ?? error?.message);
  return typeof words === 'string' ? words.trim() : '';
}

function row({ direction, at, event, count }) {
  const summary = element(
    'summary',
    {},
    element('span', { class: 'at' }, (at / 1000).toFixed(2)),
    element('span', { class: 'way', role: 'img', 'aria-label': direction }, direction === 'sent' ? '↑' : '↓'),
    element('span', { class: 'type', title: event.type }, event.type),
    element('span', { class: 'gist' }, count > 1 ? `×${count}` : gist(event)),
  );
  const details = element('details', {}, summary);
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    const content = element('pre', {}, JSON.stringify(event, null, 2));
    details.append(content);
    content.scrollIntoView({ block: 'nearest' });
  });
  return element('li', { 'data-direction': direction, 'data-type': event.type, 'data-error': event.type === 'error' }, details);
}
