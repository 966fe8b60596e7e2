// Changes the sample rate of a stream: a windowed sinc (Smith, "Digital Audio Resampling", 2002), by table.

const ZERO_CROSSINGS = 16;
const PHASES = 256;
const ROLLOFF = 0.94; // of the lower Nyquist frequency, so that what lies above it does not fold back

export class Resampler {
  #step;
  #half;
  #kernels;
  #held;
  #position;

  /** Make one from the rate `from` to the rate `to`, Hz. */
  constructor(from, to) {
    this.#step = from / to;
    const cutoff = Math.min(1, to / from) * ROLLOFF;
    this.#half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.#kernels = Array.from({ length: PHASES }, (_, phase) => kernel(phase / PHASES, this.#half, cutoff));
    this.#held = new Float32Array(this.#half); // silence before the first sample
    this.#position = this.#half;
  }

  /** Take samples and return those that are known by now; the last few follow with the next samples. */
  push(samples) {
    const input = new Float32Array(this.#held.length + samples.length);
    input.set(this.#held);
    input.set(samples, this.#held.length);
    const last = input.length - this.#half - 1;
    const count = Math.max(0, Math.floor((last - this.#position) / this.#step) + 1);
    const output = new Float32Array(count);
    for (let index = 0; index < count; index += 1) {
      const at = this.#position + index * this.#step;
      const nearest = Math.round(at * PHASES);
      const start = Math.floor(nearest / PHASES) - this.#half + 1;
      const weights = this.#kernels[nearest % PHASES];
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap += 1) sum += weights[tap] * input[start + tap];
      output[index] = sum;
    }
    this.#position += count * this.#step;
    const done = Math.max(0, Math.floor(this.#position) - this.#half);
    this.#held = input.slice(done);
    this.#position -= done;
    return output;
  }
}

function kernel(fraction, half, cutoff) {
  const weights = new Float32Array(2 * half);
  for (let tap = 0; tap < weights.length; tap += 1) {
    const x = tap - half + 1 - fraction;
    const angle = Math.PI * x * cutoff;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    const window = Math.abs(x) < half ? 0.5 + 0.5 * Math.cos((Math.PI * x) / half) : 0;
    weights[tap] = cutoff * sinc * window;
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
