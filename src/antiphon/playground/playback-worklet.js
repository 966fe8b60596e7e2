// The audio thread's end of the player: renders the queue, and tells what was played.

import { PlaybackQueue } from './playback-queue.js';

const REPORT_EVERY = 1_200; // samples: 50 ms at 24 kHz

class Playback extends AudioWorkletProcessor {
  #queue = new PlaybackQueue();
  #unreported = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.type === 'add') this.#queue.add(data.itemId, data.contentIndex, data.samples);
      else if (data.type === 'end') this.#queue.end(data.itemId);
      else if (data.type === 'flush') this.port.postMessage({ type: 'flushed', cuts: this.#queue.flush() });
    };
  }

  process(_inputs, [[output]]) {
    this.#queue.render(output);
    this.#unreported += output.length;
    if (this.#unreported >= REPORT_EVERY) {
      this.#unreported = 0;
      const position = this.#queue.position();
      if (position) this.port.postMessage({ type: 'position', ...position });
    }
    return true;
  }
}

registerProcessor('playback', Playback);
