// Speech as the protocol carries it: 16-bit little-endian mono PCM at 24 kHz, in base64.

export const RATE = 24_000;

const STRIDE = 0x8000; // String.fromCharCode takes only so many arguments

/** Return Int16Array samples as base64. */
export function toBase64(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let text = '';
  for (let start = 0; start < bytes.length; start += STRIDE) {
    text += String.fromCharCode(...bytes.subarray(start, start + STRIDE));
  }
  return btoa(text);
}

/** Return the samples of base64 speech as Float32Array in -1..1. */
export function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const samples = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
  return Float32Array.from(samples, (sample) => sample / 0x8000);
}

/** Return Float32Array samples in -1..1 as Int16Array; what is louder is clipped. */
export function toInt16(samples) {
  return Int16Array.from(samples, (sample) => Math.max(-0x8000, Math.min(0x7fff, Math.round(sample * 0x8000))));
}

/** Return how long base64 speech lasts, in ms, without decoding it. */
export function durationMs(base64) {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return ((base64.length / 4) * 3 - padding) / 2 / (RATE / 1000);
}
