// Shows where the milliseconds of each turn went. The newest turn is on top.

import { element, svg } from './dom.js';
import { answerTimes, ticks, waterfall } from './turns.js';

const WIDTH = 1000; // of the drawing; it is stretched to the table's column
const ADOPTED = {
  reply: 'draft adopted: the whole answer',
  transcript: 'draft adopted: the transcript',
  nothing: 'no draft adopted',
};

export class WaterfallView {
  #list;
  #nothing;
  #shown = new Map();

  constructor({ list, nothing }) {
    this.#list = list;
    this.#nothing = nothing;
  }

  clear() {
    this.#list.replaceChildren();
    this.#shown.clear();
    this.#nothing.hidden = false;
  }

  /** Show a turn as it is now. */
  update(turn) {
    const made = element('li', { class: 'turn', 'data-source': turn.source }, ...content(turn));
    const before = this.#shown.get(turn.id);
    if (before) before.replaceWith(made);
    else this.#list.prepend(made);
    this.#shown.set(turn.id, made);
    this.#nothing.hidden = true;
  }

  /** Show only the turns that are still kept. */
  keep(turns) {
    const kept = new Set(turns.map((turn) => turn.id));
    for (const [id, shown] of this.#shown) {
      if (kept.has(id)) continue;
      shown.remove();
      this.#shown.delete(id);
    }
  }
}

function content(turn) {
  const title = element(
    'h2',
    {},
    element('span', { class: 'number' }, String(turn.number)),
    element('span', { class: 'words' }, turn.words || 'Without words'),
  );
  return [title, times(turn), table(turn), ...note(turn)];
}

function times(turn) {
  const { afterTurn, afterPause } = answerTimes(turn);
  const made = element('p', { class: 'times' });
  if (afterPause !== null) made.append(element('b', {}, shortMs(afterPause)), 'after your pause was noticed');
  else if (afterTurn !== null) made.append(element('b', {}, shortMs(afterTurn)), 'after the turn');
  else if (!turn.tools.length) made.append('no spoken answer');
  if (turn.tools.length) made.append(element('span', { class: 'chip' }, `called ${[...new Set(turn.tools)].join(', ')}`));
  if (turn.adopted) made.append(element('span', { class: 'chip', 'data-adopted': turn.adopted }, ADOPTED[turn.adopted]));
  return made;
}

function table(turn) {
  const { bars, min, max } = waterfall(turn);
  const room = (max - min || 1) * 0.03;
  const place = (ms) => ((ms - min + room) / (max - min + 2 * room || 1)) * WIDTH;
  const marks = ticks(min, max).filter((mark) => mark === 0 || Math.abs(place(mark) - place(0)) > 60);
  const rows = bars.map(({ name, label, start, end, ms }) => {
    const x = place(start);
    const bar = svg('rect', {
      class: 'bar', 'data-stage': name, x, y: 3, width: Math.max(6, place(end) - x), height: 10, rx: 2,
    });
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, label),
      element('td', { 'aria-hidden': 'true' }, drawing(16, ...lines(marks, place, 16), bar)),
      element('td', {}, shortMs(ms)),
    );
  });
  const head = element(
    'thead',
    {},
    element('tr', {}, ...['Stage', 'When', 'Took'].map((name) => element('th', { scope: 'col' }, element('span', { class: 'unseen' }, name)))),
  );
  const axis = element('tr', { 'aria-hidden': 'true' }, element('th'), element('td', {}, labels(marks, place)), element('td'));
  const columns = element('colgroup', {}, ...['stage', 'when', 'took'].map((name) => element('col', { class: name })));
  return element('table', {}, columns, head, element('tbody', {}, ...rows, axis));
}

function drawing(height, ...parts) {
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: 'none' }, ...parts);
}

function lines(marks, place, height) {
  return marks.map((mark) =>
    svg('line', {
      class: mark === 0 ? 'closed' : 'grid', x1: place(mark), x2: place(mark), y1: -2, y2: height + 2, 'vector-effect': 'non-scaling-stroke',
    }),
  );
}

/** The axis is not stretched, or its figures would be. */
function labels(marks, place) {
  const texts = marks.map((mark) =>
    svg('text', { x: `${(place(mark) / WIDTH) * 100}%`, y: 13, 'text-anchor': 'middle' }, `${mark}`),
  );
  return svg('svg', { class: 'axis' }, ...texts);
}

function note(turn) {
  if (turn.source === 'server') {
    const drafts = turn.drafts === 1 ? '1 draft' : `${turn.drafts} drafts`;
    const audio = `${(turn.audioMs / 1000).toFixed(1)} s of audio`;
    const seen = turn.tools.length ? ' · from the tool on as seen from this page' : '';
    return [element('p', { class: 'note' }, `${audio} · ${drafts} · 0 is the end of the turn${seen}`)];
  }
  return [element('p', { class: 'note' }, 'As seen from this page, network included · 0 is the end of the turn')];
}

function shortMs(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
