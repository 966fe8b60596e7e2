// Shows the conversation, and tells screen readers what was said once it is said.

import { element } from './dom.js';

const NAMES = { user: 'You', assistant: 'Antiphon', tool: 'Tool call', notice: null };
const NEAR_END_PX = 80;

export class ConversationView {
  #transcript;
  #list;
  #scroller;
  #welcome;
  #live;
  #shown = new Map();
  #told = new Set();
  #atEnd = true;

  constructor(transcript, { list, scroller, welcome, live }) {
    this.#transcript = transcript;
    this.#list = list;
    this.#scroller = scroller;
    this.#welcome = welcome;
    this.#live = live;
    scroller.addEventListener('scroll', () => (this.#atEnd = this.#isAtEnd()));
    // A banner, a phone's keyboard or another window size must not hide the last words.
    new ResizeObserver(() => this.#atEnd && this.#scrollToEnd()).observe(scroller);
  }

  /** Show what has changed. */
  update(ids) {
    if (!ids.length) return;
    const atEnd = this.#isAtEnd();
    for (const id of new Set(ids)) this.#show(id);
    this.#welcome.hidden = this.#transcript.entries.length > 0;
    if (atEnd) this.#scrollToEnd();
  }

  #isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  #scrollToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  clear() {
    this.#list.replaceChildren();
    this.#shown.clear();
    this.#told.clear();
    this.#welcome.hidden = false;
  }

  #show(id) {
    const entry = this.#transcript.entry(id);
    let shown = this.#shown.get(id);
    if (!entry) {
      shown?.remove();
      this.#shown.delete(id);
      return;
    }
    if (!shown) {
      shown = element('li', { class: 'said', 'data-kind': entry.kind, 'data-item': id });
      this.#shown.set(id, shown);
      this.#list.append(shown);
    }
    shown.dataset.state = entry.state;
    shown.toggleAttribute('data-cut', entry.cut !== null);
    const name = NAMES[entry.kind];
    const who = name ? [element('p', { class: 'who' }, name)] : [];
    shown.replaceChildren(...who, ...(entry.kind === 'tool' ? toolCall(entry.tool) : [words(entry)]));
    this.#tell(entry, name);
  }

  #tell(entry, name) {
    if ((entry.state !== 'done' && entry.state !== 'failed') || entry.kind === 'tool' || !entry.text) return;
    const told = `${entry.id} ${entry.cut !== null}`;
    if (this.#told.has(told)) return;
    this.#told.add(told);
    const said = entry.cut ? `Interrupted after: ${heardOf(entry)}` : entry.text;
    this.#live.textContent = name ? `${name}: ${said}` : said;
  }
}

function heardOf(entry) {
  return entry.text.slice(0, entry.heard ?? 0);
}

function words(entry) {
  const made = element('p', { class: 'words' });
  if (!entry.text) {
    if (entry.state === 'done' && !entry.cut) made.append(element('span', { class: 'none' }, 'No words'));
    else if (entry.state !== 'done') made.append(waiting(entry.state));
  }
  if (entry.heard === null && !entry.cut) {
    made.append(entry.text);
    return made;
  }
  const heard = heardOf(entry);
  made.append(heard);
  if (entry.cut) {
    const after = `${(entry.cut.ms / 1000).toFixed(1)} s`;
    made.append(element('span', { class: 'cut' }, `interrupted at ${after}`));
  }
  const rest = entry.text.slice(heard.length);
  const words = entry.cut ? rest.trimStart() : rest; // a space would be struck out, too
  if (words) made.append(element('span', { class: 'unheard' }, words));
  return made;
}

function waiting(state) {
  const dots = [1, 2, 3].map(() => element('i'));
  const words = { speaking: 'speaking', transcribing: 'being transcribed', answering: 'answering' }[state] ?? '';
  return element('span', { class: 'waiting', role: 'img', 'aria-label': words }, ...dots);
}

function toolCall(tool) {
  const call = element('code', {}, `${tool.name}(${tool.arguments})`);
  return tool.output === null ? [call] : [call, element('code', { class: 'answer' }, `→ ${tool.output}`)];
}
