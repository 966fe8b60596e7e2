// A session over WebSocket: the microphone's samples go out in events, speech comes in events and is played here.

import { durationMs, fromBase64, toBase64 } from './pcm.js';
import { Player } from './player.js';

const KEY_SUBPROTOCOL = 'openai-insecure-api-key.'; // browsers cannot set headers on a WebSocket

export class WebSocketTransport {
  #socket = null;
  #player;
  #microphone;
  #interruptible = true;
  #responding = null;
  #on;

  sending = true;

  /** `on` has the callbacks event, sent, closed and position. */
  constructor(microphone, on) {
    this.#microphone = microphone;
    this.#on = on;
    this.#player = new Player(on.position);
  }

  get outputAnalyser() {
    return this.#player.analyser;
  }

  /** Connect, and return when the session is there. */
  async connect(server, { model, secret, speaker }) {
    try {
      await this.#player.open(speaker);
    } catch (error) {
      throw (await server.explain()) ?? error; // its worklet comes from the server, too
    }
    const protocols = ['realtime', ...(secret ? [KEY_SUBPROTOCOL + secret] : [])];
    const socket = new WebSocket(server.webSocketUrl(model), protocols);
    this.#socket = socket;
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onclose = async () => reject((await server.explain()) ?? new Error('The server ended the connection.'));
    });
    socket.onclose = ({ code, reason }) => this.#on.closed(reason || `code ${code}`);
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#microphone.onChunk = (pcm) => {
      if (this.sending) this.send({ type: 'input_audio_buffer.append', audio: toBase64(pcm) });
    };
  }

  send(event) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(event));
    this.#on.sent(event);
  }

  setMicrophone() {} // its samples are taken wherever they come from

  async setSpeaker(speaker) {
    await this.#player.setSpeaker(speaker);
  }

  /** Stop the answer: what was not heard of it is taken back. */
  async interrupt() {
    if (this.#responding) this.send({ type: 'response.cancel', response_id: this.#responding });
    await this.#cut();
  }

  close() {
    this.#microphone.onChunk = null;
    if (this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = null;
      this.#socket.close();
    }
    this.#player.close();
  }

  #receive(event) {
    switch (event.type) {
      case 'session.created':
      case 'session.updated':
        this.#interruptible = event.session.audio.input.turn_detection?.interrupt_response ?? false;
        break;
      case 'response.created':
        this.#responding = event.response.id;
        break;
      case 'response.done':
        if (this.#responding === event.response.id) this.#responding = null;
        break;
      case 'response.output_audio.delta':
        this.#player.add(event.item_id, event.content_index, fromBase64(event.delta));
        event.duration_ms = durationMs(event.delta);
        break;
      case 'response.output_audio.done':
        this.#player.end(event.item_id);
        break;
      case 'input_audio_buffer.speech_started':
        if (this.#interruptible) this.#cut();
        break;
    }
    this.#on.event(event);
  }

  async #cut() {
    for (const { itemId, contentIndex, heardMs } of await this.#player.flush()) {
      this.send({
        type: 'conversation.item.truncate',
        item_id: itemId,
        content_index: contentIndex,
        audio_end_ms: heardMs,
      });
    }
  }
}
