// Plays the speech that comes in events, and knows how much of it was heard.

import { RATE } from './pcm.js';

export class Player {
  #context = null;
  #node = null;
  #flushes = [];

  /** `onPosition(itemId, ms)` is told as an item is played. */
  constructor(onPosition) {
    this.onPosition = onPosition;
  }

  /** Open the output. `speaker` is a device id; '' for the system's own. */
  async open(speaker) {
    this.#context = new AudioContext({ sampleRate: RATE, latencyHint: 'interactive' });
    await this.#context.audioWorklet.addModule(new URL('playback-worklet.js', import.meta.url));
    this.#node = new AudioWorkletNode(this.#context, 'playback', { numberOfInputs: 0, outputChannelCount: [1] });
    this.#node.port.onmessage = ({ data }) => this.#hear(data);
    this.analyser = this.#context.createAnalyser();
    this.#node.connect(this.analyser).connect(this.#context.destination);
    await this.setSpeaker(speaker);
    await this.#context.resume();
  }

  async close() {
    await this.#context?.close();
    this.#context = null;
  }

  /** Play elsewhere, where the browser can. */
  async setSpeaker(speaker) {
    if (this.#context?.setSinkId) await this.#context.setSinkId(speaker);
  }

  /** Add samples (Float32Array, 24 kHz) to what an item says. */
  add(itemId, contentIndex, samples) {
    this.#node.port.postMessage({ type: 'add', itemId, contentIndex, samples }, [samples.buffer]);
  }

  /** Take note that an item has said everything. */
  end(itemId) {
    this.#node.port.postMessage({ type: 'end', itemId });
  }

  /** Fall silent, and return what was cut off: item, content index and the ms of it that were heard. */
  async flush() {
    if (!this.#node) return [];
    const flushed = new Promise((resolve) => this.#flushes.push(resolve));
    this.#node.port.postMessage({ type: 'flush' });
    return flushed;
  }

  #hear(data) {
    if (data.type === 'position') {
      this.onPosition(data.itemId, this.#heardMs(data.played));
      return;
    }
    this.#flushes.shift()(
      data.cuts.map(({ itemId, contentIndex, played }) => ({ itemId, contentIndex, heardMs: this.#heardMs(played) })),
    );
  }

  /** What the worklet has given away is heard only when it has passed the system's buffers. */
  #heardMs(played) {
    const onTheWay = this.#context?.outputLatency || 0; // what the worklet said last may come after the close
    return Math.max(0, Math.floor((played / RATE - onTheWay) * 1000));
  }
}
