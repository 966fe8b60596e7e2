// The audio thread's end of the microphone: 16-bit PCM at 24 kHz, 40 ms at a time.

import { RATE, toInt16 } from './pcm.js';
import { Resampler } from './resampler.js';

const CHUNK = RATE / 25;

class Capture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, RATE);
  #chunk = new Float32Array(CHUNK);
  #filled = 0;

  process([[input]]) {
    if (!input) return true; // nothing is connected
    const samples = sampleRate === RATE ? input : this.#resampler.push(input);
    for (let taken = 0; taken < samples.length; ) {
      const count = Math.min(samples.length - taken, CHUNK - this.#filled);
      this.#chunk.set(samples.subarray(taken, taken + count), this.#filled);
      taken += count;
      this.#filled += count;
      if (this.#filled === CHUNK) {
        const pcm = toInt16(this.#chunk);
        this.port.postMessage(pcm, [pcm.buffer]);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('capture', Capture);
