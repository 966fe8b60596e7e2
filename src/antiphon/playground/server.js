// What the page asks of the server over HTTP. The API key stays in memory, or in this tab's session if asked to.

import { keep, recall, textsOf } from './stored.js';

const STORED = 'antiphon.key';

export class ServerError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Server {
  #key = textsOf(recall(STORED, 'sessionStorage')).key ?? '';

  constructor(base = document.baseURI) {
    this.#base = base;
  }

  #base;

  get hasKey() {
    return this.#key !== '';
  }

  /** Use an API key; `remember` keeps it until the tab is closed. */
  setKey(key, remember) {
    this.#key = key;
    keep(STORED, remember && key ? { key } : null, 'sessionStorage');
  }

  /** Return the models, each with its voices and, as `voice`, the one that it has unless told otherwise. */
  async models() {
    const answers = await Promise.all([this.#fetch('v1/models'), this.#fetch('v1/audio/voices')]);
    const [listing, voices] = await Promise.all(answers.map((answer) => answer.json()));
    return listing.data.map((model) => ({ ...model, voice: voices.models[model.id]?.default ?? null }));
  }

  /** Return a secret for one call, so that the API key itself goes nowhere else; null where no key is needed. */
  async clientSecret() {
    if (!this.#key) return null;
    const body = JSON.stringify({ expires_after: { anchor: 'created_at', seconds: 60 }, session: { type: 'realtime' } });
    const headers = { 'Content-Type': 'application/json' };
    const answer = await this.#fetch('v1/realtime/client_secrets', { method: 'POST', body, headers });
    return (await answer.json()).value;
  }

  /** Return where a WebSocket for `model` connects. */
  webSocketUrl(model) {
    const url = this.#realtime('v1/realtime', model);
    url.protocol = url.protocol.replace('http', 'ws');
    return url;
  }

  /** Give a WebRTC offer and return the answer. */
  async call(model, secret, sdp) {
    const body = new FormData();
    body.set('sdp', sdp);
    body.set('session', JSON.stringify({ type: 'realtime' }));
    const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
    const answer = await this.#fetch(this.#realtime('v1/realtime/calls', model), { method: 'POST', body, headers });
    return answer.text();
  }

  /** Return why no connection comes about, as the server tells it over HTTP, or null when it sees no reason. */
  async explain() {
    try {
      await this.models();
      return null;
    } catch (error) {
      return error;
    }
  }

  #realtime(path, model) {
    const url = new URL(path, this.#base);
    if (model) url.searchParams.set('model', model);
    url.searchParams.set('timeline', 'true');
    return url;
  }

  async #fetch(path, { headers = {}, ...options } = {}) {
    const authorization = this.#key ? { Authorization: `Bearer ${this.#key}` } : {};
    let answer;
    try {
      answer = await fetch(new URL(path, this.#base), { ...options, headers: { ...authorization, ...headers } });
    } catch {
      throw new ServerError(0, 'unreachable', 'The server cannot be reached. Is it running?');
    }
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    throw new ServerError(answer.status, error?.code ?? null, error?.message ?? `The server answered ${answer.status}.`);
  }
}
