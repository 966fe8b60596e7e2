// A call from its first to its last moment: microphone, transport, push-to-talk, tools, and coming back after a drop.

import { Microphone, MicrophoneError } from './microphone.js';
import { sessionConfig } from './session-config.js';
import { answersTo } from './tools.js';
import { WebRtcTransport } from './webrtc-transport.js';
import { WebSocketTransport } from './websocket-transport.js';

const RETRY_AFTER_MS = [1_000, 2_000, 4_000, 8_000, 8_000];
const NOT_YET = new Set([0, 503]); // HTTP statuses of a server that is not there, or not ready
const TAIL_MS = 200; // after the button is released: what the microphone and the network still hold
const SHORTEST_MS = 300; // to hold the button; less is a slip of the finger

export class Call extends EventTarget {
  #server;
  #settings = null;
  #own = null; // the session as the server opened it, before any settings
  #transport = null;
  #retry = 0;
  #retries = 0;
  #pressedAt = null;
  #releasing = false;
  #recall;

  state = 'idle'; // idle, connecting, live, waiting (to reconnect)
  microphone = new Microphone((words) => this.#microphoneFailed(words));

  /** `recall()` returns the items that a new session is told after a drop. */
  constructor(server, recall) {
    super();
    this.#server = server;
    this.#recall = recall;
  }

  get outputAnalyser() {
    return this.#transport?.outputAnalyser ?? null;
  }

  get talking() {
    return this.#pressedAt !== null;
  }

  /** Whether turns are taken by push-to-talk: because that was chosen, or because the server says so and nothing was. */
  get byHand() {
    const turns = this.#settings?.turns;
    return turns === 'none' || (turns === 'server' && this.#own?.audio.input.turn_detection === null);
  }

  /** Begin. Fails never: what went wrong is told as state and notice. */
  async start(settings) {
    this.#settings = settings;
    this.#retries = 0;
    this.#tell('connecting', 'Connecting');
    await this.openMicrophone();
    if (this.state === 'connecting') await this.#connect([]);
  }

  /** Open the microphone, or say why it does not open; the call goes on without. */
  async openMicrophone() {
    try {
      await this.microphone.open(this.#settings.microphone);
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      if (this.state !== 'idle') this.#microphoneFailed(error.message);
      return;
    }
    if (this.state === 'idle') {
      this.microphone.close(); // hung up while the browser asked
      return;
    }
    this.#dispatch('microphone', { problem: null });
    this.#transport?.setMicrophone();
  }

  /** Use other settings, at once where there is a call. */
  async update(settings) {
    const before = this.#settings;
    this.#settings = settings;
    if (this.state !== 'live' || !before) return; // what connects or waits uses them once it is there
    const session = sessionConfig(settings, this.#own);
    if (JSON.stringify(session) !== JSON.stringify(sessionConfig(before, this.#own))) this.send({ type: 'session.update', session });
    this.#hearAsChosen();
    if (settings.microphone !== before.microphone) await this.openMicrophone();
    if (settings.speaker !== before.speaker) await this.#transport?.setSpeaker(settings.speaker);
  }

  send(event) {
    this.#transport?.send(event);
  }

  /** Say something in writing. */
  async say(text) {
    await this.interrupt();
    const content = [{ type: 'input_text', text }];
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
    this.send({ type: 'response.create' });
  }

  /** Push-to-talk: from now on the microphone is heard. */
  async press() {
    this.#releasing = false; // pressed again at once: the same turn goes on
    if (this.state !== 'live' || this.talking) return;
    this.#pressedAt = performance.now();
    this.#dispatch('talking', { talking: true });
    await this.interrupt();
    if (!this.talking || !this.#transport) return; // the call ended meanwhile
    this.send({ type: 'input_audio_buffer.clear' });
    this.#transport.sending = true;
  }

  /** Push-to-talk: that was all; answer it. */
  async release() {
    if (!this.talking) return;
    const held = performance.now() - this.#pressedAt;
    this.#releasing = true;
    await new Promise((resolve) => setTimeout(resolve, TAIL_MS));
    if (!this.#releasing || !this.talking) return;
    this.#letGo();
    this.#hearAsChosen();
    if (held < SHORTEST_MS) {
      this.send({ type: 'input_audio_buffer.clear' });
      this.#dispatch('hint', { words: 'Hold the button while you speak.' });
      return;
    }
    this.send({ type: 'input_audio_buffer.commit' });
    this.send({ type: 'response.create' });
  }

  /** Stop the answer. */
  async interrupt() {
    await this.#transport?.interrupt();
  }

  set muted(muted) {
    this.microphone.muted = muted;
    this.#dispatch('muted', { muted });
  }

  get muted() {
    return this.microphone.muted;
  }

  /** End the call, or the waiting for one. */
  hangUp() {
    this.#end('Call ended');
  }

  /** Reconnect now instead of later. */
  async reconnect() {
    clearTimeout(this.#retry);
    this.#tell('connecting', 'Reconnecting');
    await this.#connect(this.#recall());
    if (this.state === 'live' && !this.microphone.stream) await this.openMicrophone(); // lost with the server
  }

  #hearAsChosen() {
    if (this.#transport && !this.talking) this.#transport.sending = !this.byHand;
  }

  #letGo() {
    if (!this.talking) return;
    this.#pressedAt = null;
    this.#releasing = false;
    this.#dispatch('talking', { talking: false });
  }

  async #connect(items) {
    const settings = this.#settings;
    this.#own = null;
    const Transport = settings.transport === 'webrtc' ? WebRtcTransport : WebSocketTransport;
    const transport = new Transport(this.microphone, {
      event: (event) => this.#receive(event),
      sent: (event) => this.#dispatch('event', { direction: 'sent', event }),
      closed: (reason) => this.#dropped(reason),
      position: (itemId, ms) => this.#dispatch('position', { itemId, ms }),
    });
    this.#transport = transport;
    this.#hearAsChosen();
    try {
      const secret = await this.#server.clientSecret();
      const { model, speaker } = settings;
      await transport.connect(this.#server, { model, speaker, secret });
    } catch (error) {
      transport.close();
      if (this.#transport !== transport) return; // hung up meanwhile
      this.#transport = null;
      if (this.#retries > 0 && NOT_YET.has(error.status ?? 0)) this.#dropped(error.message);
      else this.#end('Not connected', { words: error.message, code: error.code ?? null, status: error.status ?? 0 });
      return;
    }
    if (this.#transport !== transport) {
      transport.close();
      return;
    }
    this.#retries = 0;
    this.send({ type: 'session.update', session: sessionConfig(this.#settings, this.#own) });
    this.#hearAsChosen();
    for (const item of items) this.send({ type: 'conversation.item.create', item });
    this.#tell('live', 'Connected');
  }

  #receive(event) {
    if (event.type === 'session.created') {
      this.#own = event.session;
      this.#hearAsChosen();
    }
    this.#dispatch('event', { direction: 'received', event });
    if (event.type === 'response.done') {
      for (const answer of answersTo(event.response, this.#settings.answers)) this.send(answer);
    } else if (event.type === 'conversation.item.truncated') {
      // The server knows at which word it was cut.
      this.send({ type: 'conversation.item.retrieve', item_id: event.item_id });
    }
  }

  #dropped(reason) {
    this.#transport?.close();
    this.#transport = null;
    this.#letGo();
    const wait = RETRY_AFTER_MS[this.#retries];
    if (wait === undefined) {
      this.#end('Connection lost', { words: `The connection was lost and does not come back (${reason}).` });
      return;
    }
    this.#retries += 1;
    this.#tell('waiting', 'Connection lost', {
      words: `The connection was lost (${reason}). Trying again in ${wait / 1000} s.`,
    });
    this.#retry = setTimeout(() => this.reconnect(), wait);
  }

  #end(label, problem = null) {
    clearTimeout(this.#retry);
    this.#transport?.close();
    this.#transport = null;
    this.#letGo();
    this.microphone.close();
    this.#tell('idle', label, problem);
  }

  #microphoneFailed(words) {
    this.microphone.close();
    this.#transport?.setMicrophone();
    this.#dispatch('microphone', { problem: words });
  }

  #tell(state, label, problem = null) {
    this.state = state;
    this.#dispatch('state', { state, label, problem });
  }

  #dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail: { at: performance.now(), ...detail } }));
  }
}
