import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlaybackQueue } from '../../../src/antiphon/playground/playback-queue.js';
import { durationMs, fromBase64, toBase64, toInt16 } from '../../../src/antiphon/playground/pcm.js';
import { Resampler } from '../../../src/antiphon/playground/resampler.js';

const filled = (length, value) => new Float32Array(length).fill(value);

function rendered(queue, length) {
  const output = filled(length, 9);
  queue.render(output);
  return [...output];
}

test('speech is played in order, and silence where there is none', () => {
  const queue = new PlaybackQueue();
  queue.add('a', 0, filled(3, 1));
  queue.add('a', 0, filled(2, 2));
  queue.add('b', 0, filled(2, 3));
  queue.end('a');
  assert.deepEqual(rendered(queue, 4), [1, 1, 1, 2]);
  assert.deepEqual(queue.position(), { itemId: 'a', played: 4 });
  assert.deepEqual(rendered(queue, 4), [2, 3, 3, 0]);
  assert.deepEqual(queue.position(), { itemId: 'b', played: 2 });
});

test('the next item waits while one may still say something', () => {
  const queue = new PlaybackQueue();
  queue.add('a', 0, filled(1, 1));
  queue.add('b', 0, filled(1, 2));
  assert.deepEqual(rendered(queue, 3), [1, 0, 0]);
  queue.end('a');
  assert.deepEqual(rendered(queue, 2), [2, 0]);
});

test('a flush tells what was played of what was cut, and drops what comes late', () => {
  const queue = new PlaybackQueue();
  queue.add('a', 0, filled(10, 1));
  queue.add('b', 1, filled(10, 2));
  rendered(queue, 4);
  assert.deepEqual(queue.flush(), [
    { itemId: 'a', contentIndex: 0, played: 4 },
    { itemId: 'b', contentIndex: 1, played: 0 },
  ]);
  queue.add('a', 0, filled(10, 1));
  assert.deepEqual(rendered(queue, 2), [0, 0]);
  queue.add('c', 0, filled(1, 5));
  assert.deepEqual(rendered(queue, 2), [5, 0]);
});

test('what was said to its end is not cut', () => {
  const queue = new PlaybackQueue();
  queue.add('a', 0, filled(4, 1));
  queue.end('a');
  rendered(queue, 4);
  assert.deepEqual(queue.flush(), []);
});

test('what ran dry but is not over is cut', () => {
  const queue = new PlaybackQueue();
  queue.add('a', 0, filled(4, 1));
  rendered(queue, 8);
  assert.deepEqual(queue.flush(), [{ itemId: 'a', contentIndex: 0, played: 4 }]);
});

test('base64 carries samples there and back', () => {
  for (const length of [0, 1, 2, 3, 100, 70_000]) {
    const samples = Int16Array.from({ length }, (_, index) => ((index * 7919) % 65_536) - 32_768);
    const text = toBase64(samples);
    assert.deepEqual(toInt16(fromBase64(text)), samples);
    assert.equal(durationMs(text), length / 24);
  }
});

test('what is too loud is clipped', () => {
  assert.deepEqual([...toInt16(Float32Array.of(2, -2, 0.5))], [32_767, -32_768, 16_384]);
});

const tone = (hz, rate, length) => Float32Array.from({ length }, (_, index) => Math.sin((2 * Math.PI * hz * index) / rate));
const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

function resampled(from, to, samples, piece) {
  const resampler = new Resampler(from, to);
  const output = [];
  for (let start = 0; start < samples.length; start += piece) output.push(...resampler.push(samples.subarray(start, start + piece)));
  return output;
}

for (const from of [16_000, 44_100, 48_000, 96_000]) {
  test(`from ${from} Hz a tone stays a tone, and what cannot be carried is gone`, () => {
    const output = resampled(from, 24_000, tone(1_000, from, from), 128);
    assert.ok(Math.abs(output.length - 24_000) < 64, String(output.length));
    const inner = output.slice(200, -200);
    const wanted = tone(1_000, 24_000, 24_000);
    const best = Math.max(...Array.from({ length: 24 }, (_, shift) => {
      const same = inner.reduce((sum, sample, index) => sum + sample * wanted[index + shift], 0) / inner.length;
      return same / Math.sqrt(power(inner) * 0.5);
    }));
    assert.ok(best > 0.999, String(best));
    assert.ok(Math.abs(power(inner) - 0.5) < 0.005, String(power(inner)));
    if (from > 32_000) {
      const folded = resampled(from, 24_000, tone(15_000, from, from), 128).slice(200, -200);
      assert.ok(power(folded) < 1e-5, String(power(folded)));
    }
  });
}

test('how the samples are cut into pieces makes no difference', () => {
  const samples = tone(440, 48_000, 4_800);
  const whole = resampled(48_000, 24_000, samples, 4_800);
  for (const piece of [1, 128, 1_000]) assert.deepEqual(resampled(48_000, 24_000, samples, piece), whole);
});
