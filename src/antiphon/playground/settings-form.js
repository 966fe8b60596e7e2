// The settings: reading the form, keeping it, and showing what belongs to the chosen way of taking turns.

import { element } from './dom.js';
import { inWords } from './session-config.js';
import { keep, recall, textsOf } from './stored.js';
import { EXAMPLE, EXAMPLE_ANSWER, parseTools } from './tools.js';

const STORED = 'antiphon.settings';
const SETTLE_MS = 400; // after typing, before a change counts

export class SettingsForm extends EventTarget {
  #form;
  #models = [];
  #kept = {};
  #answers;
  #voices; // by model: those that were chosen
  #problem = document.getElementById('tools-problem');
  #toolChoice = document.getElementById('tool-choice');
  #toolAnswers = document.getElementById('tool-answers');
  #tools = [];
  #settling = 0;

  constructor(form) {
    super();
    this.#form = form;
    this.#kept = recall(STORED);
    this.#answers = textsOf(this.#kept.answers);
    this.#voices = textsOf(this.#kept.voices);
    this.#restore();
    form.addEventListener('submit', (event) => event.preventDefault());
    form.addEventListener('input', (event) => this.#changed(event));
    document.getElementById('tools-example').addEventListener('click', () => {
      this.#field('toolsText').value = JSON.stringify(EXAMPLE, null, 2);
      this.#answers = { ...this.#answers, [EXAMPLE[0].name]: EXAMPLE_ANSWER };
      this.#readTools();
      this.#tell();
    });
    this.#readTools();
    this.#show();
  }

  /** Return what is chosen. */
  get values() {
    const values = { tools: this.#tools, answers: { ...this.#answers }, voices: { ...this.#voices } };
    for (const field of this.#form.elements) {
      if (!field.name) continue;
      if (field.type === 'radio') {
        if (field.checked) values[field.name] = field.value;
      } else if (field.type === 'checkbox') values[field.name] = field.checked;
      else if (field.type === 'range') values[field.name] = Number(field.value);
      else values[field.name] = field.value;
    }
    return values;
  }

  /** Offer the models of the server, and the chosen one's voices. */
  setModels(models) {
    this.#models = models;
    const field = this.#field('model');
    fill(field, models.map(({ id }) => [id, id]), field.value || this.#kept.model);
    this.#showVoices();
  }

  /** Offer microphones or speakers: pairs of id and name. */
  setDevices(kind, devices) {
    const field = this.#field(kind);
    fill(field, devices, field.value || this.#kept[kind]);
  }

  /** Show which settings cannot change now: those of the connection in a call, the voice once it was heard. */
  lock({ inCall, voiceHeard }) {
    for (const field of this.#form.querySelectorAll('[name=transport]')) field.disabled = inCall;
    this.#field('model').disabled = inCall;
    this.#field('voice').disabled = inCall && voiceHeard;
    document.getElementById('connection-hint').hidden = !inCall;
    document.getElementById('voice-hint').hidden = !(inCall && voiceHeard);
  }

  /** Show the turn detection that the server has by itself, and let a choice begin from its parameters. */
  setServersTurns(detection) {
    document.getElementById('servers-turns-kind').textContent = detection?.type ?? 'none';
    document.getElementById('servers-turns-hint').hidden = true;
    const pairs = inWords(detection).map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)));
    document.getElementById('servers-turns').replaceChildren(...pairs);
    if (this.values.turns !== 'server') return;
    for (const [name, value] of Object.entries(detection ?? {})) {
      const field = this.#field(name);
      if (field) field.value = value ?? 0;
    }
    this.#field('interruptible').checked = detection?.interrupt_response ?? true;
    this.#show();
  }

  #forgetServersTurns() {
    document.getElementById('servers-turns-kind').textContent = '';
    document.getElementById('servers-turns-hint').hidden = false;
    document.getElementById('servers-turns').replaceChildren();
  }

  #field(name) {
    return this.#form.elements[name];
  }

  #restore() {
    for (const field of this.#form.elements) {
      const value = this.#kept[field.name];
      if (field.type === 'radio') field.checked ||= field.value === value;
      else if (field.type === 'checkbox') field.checked = value ?? field.checked;
      else if (field.tagName === 'SELECT') choose(field, value);
      else if (['string', 'number'].includes(typeof value)) field.value = value;
    }
  }

  #changed({ target }) {
    if (target.name === 'toolsText') this.#readTools();
    if (target.name === 'model') {
      this.#showVoices();
      this.#forgetServersTurns();
    }
    if (target.name === 'voice') this.#voices[this.#field('model').value] = target.value;
    if (target.dataset.answers) this.#answers[target.dataset.answers] = target.value;
    this.#show();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#tell(), SETTLE_MS);
  }

  #tell() {
    const values = this.values;
    keep(STORED, values);
    this.dispatchEvent(new CustomEvent('change', { detail: values }));
  }

  #show() {
    const { turns } = this.values;
    for (const part of this.#form.querySelectorAll('[data-turns]')) part.hidden = !part.dataset.turns.split(' ').includes(turns);
    for (const select of this.#form.querySelectorAll('select')) select.title = select.selectedOptions[0]?.text ?? '';
    for (const slider of this.#form.querySelectorAll('input[type=range]')) {
      const least = Number(slider.dataset.least ?? 0);
      if (Number(slider.value) > 0 && Number(slider.value) < least) slider.value = least;
      const unit = slider.dataset.unit ? ` ${slider.dataset.unit}` : '';
      const words = slider.dataset.zero && slider.value === '0' ? slider.dataset.zero : slider.value + unit;
      slider.closest('label').querySelector('output').textContent = words;
      slider.setAttribute('aria-valuetext', words);
    }
  }

  #showVoices() {
    const model = this.#models.find(({ id }) => id === this.#field('model').value);
    const voices = model?.voices ?? [];
    const named = voices.map(({ name, description }) => [name, description ? `${name} · ${description}` : name]);
    const field = this.#field('voice');
    fill(field, named.length ? named : [['', 'The model’s own']], this.#voices[model?.id] ?? model?.voice);
    this.#show();
  }

  #readTools() {
    const { tools, problem } = parseTools(this.#field('toolsText').value);
    this.#problem.textContent = problem ?? '';
    if (problem) return; // the tools stay what they were
    this.#tools = tools;
    this.#toolChoice.hidden = tools.length === 0;
    this.#toolAnswers.replaceChildren(
      ...tools.map(({ name }) => {
        this.#answers[name] ??= '{}';
        const field = element('textarea', { class: 'code', rows: 2, spellcheck: 'false', 'data-answers': name });
        field.value = this.#answers[name];
        return element('label', { class: 'field' }, element('span', {}, `${name} answers`), field);
      }),
    );
  }
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, name]) => element('option', { value }, name)));
  choose(select, chosen);
}

function choose(select, value) {
  if (Array.from(select.options).some((option) => option.value === value)) select.value = value;
}
