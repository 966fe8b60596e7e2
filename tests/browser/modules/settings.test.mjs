import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventRecord, matches, shortened } from '../../../src/antiphon/playground/event-record.js';
import { inWords, sessionConfig } from '../../../src/antiphon/playground/session-config.js';
import { keep, recall, textsOf } from '../../../src/antiphon/playground/stored.js';
import { answersTo, parseTools } from '../../../src/antiphon/playground/tools.js';

const SETTINGS = {
  turns: 'server_vad', threshold: 0.6, prefix_padding_ms: 250, silence_duration_ms: 700, idle_timeout_ms: 0, interruptible: true,
  eagerness: 'high', noiseReduction: 'off', instructions: 'Be brief.', voice: 'low', tools: [], toolChoice: 'required',
};

test('each way of taking turns has its own parameters', () => {
  const detection = (changes) => sessionConfig({ ...SETTINGS, ...changes }).audio.input.turn_detection;
  assert.deepEqual(detection({}), {
    type: 'server_vad', threshold: 0.6, prefix_padding_ms: 250, silence_duration_ms: 700, idle_timeout_ms: null, interrupt_response: true,
  });
  assert.equal(detection({ idle_timeout_ms: 6_000 }).idle_timeout_ms, 6_000);
  assert.deepEqual(detection({ turns: 'semantic_vad', interruptible: false }), {
    type: 'semantic_vad', eagerness: 'high', interrupt_response: false,
  });
  assert.equal(detection({ turns: 'none' }), null);
});

test('what nobody has chosen is the server’s', () => {
  const unchosen = { ...SETTINGS, turns: 'server', instructions: '' };
  const opening = sessionConfig(unchosen);
  assert.ok(!('instructions' in opening) && !('turn_detection' in opening.audio.input));
  const detection = { type: 'semantic_vad', eagerness: 'low', create_response: true, interrupt_response: false };
  const own = { instructions: 'You are a clinic.', audio: { input: { turn_detection: detection } } };
  const again = sessionConfig(unchosen, own); // after something else was chosen
  assert.deepEqual([again.instructions, again.audio.input.turn_detection], ['You are a clinic.', detection]);
  assert.equal(sessionConfig(unchosen, { ...own, audio: { input: { turn_detection: null } } }).audio.input.turn_detection, null);
  const chosen = sessionConfig(SETTINGS, own);
  assert.deepEqual([chosen.instructions, chosen.audio.input.turn_detection.type], ['Be brief.', 'server_vad']);
});

test('turn detection in words', () => {
  const vad = { type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200, idle_timeout_ms: null };
  assert.deepEqual(inWords({ ...vad, create_response: true, interrupt_response: true }), [
    ['Silence that ends a turn', '200 ms'], ['Speech threshold', '0.5'],
    ['Audio kept before speech', '300 ms'], ['Ask again when idle for', 'never'], ['I can interrupt', 'yes'],
  ]);
  assert.deepEqual(inWords({ type: 'semantic_vad', eagerness: 'auto', create_response: false, interrupt_response: false }), [
    ['Eagerness to answer', 'auto'], ['I can interrupt', 'no'], ['Answers by itself', 'no'],
  ]);
  assert.deepEqual(inWords(null), [['Ends a turn', 'you, with the button']]);
});

test('what the browser keeps may be anything, or nothing', () => {
  for (const broken of ['{"turns": ', 'null', '[1]', '5', '"words"', '']) {
    globalThis.kept = { getItem: () => broken };
    assert.deepEqual(recall('x', 'kept'), {});
  }
  globalThis.kept = {
    getItem() { throw new Error('SecurityError'); },
    setItem() { throw new Error('QuotaExceededError'); },
  };
  assert.deepEqual(recall('x', 'kept'), {});
  keep('x', { a: 1 }, 'kept');
  assert.deepEqual(textsOf({ a: 'b', c: 5, d: null }), { a: 'b' });
  assert.deepEqual(textsOf(7), {});
});

test('noise reduction, voice, tools', () => {
  const session = sessionConfig({ ...SETTINGS, noiseReduction: 'far_field', tools: [{ name: 'f' }] });
  assert.deepEqual(session.audio.input.noise_reduction, { type: 'far_field' });
  assert.deepEqual(session.audio.output, { voice: 'low' });
  assert.equal(session.tool_choice, 'required');
  const plain = sessionConfig({ ...SETTINGS, voice: '' });
  assert.equal(plain.audio.input.noise_reduction, null);
  assert.deepEqual([plain.audio.output, plain.tool_choice], [{}, 'auto']);
});

test('tools are a JSON list of named functions, or it is said what is wrong', () => {
  assert.deepEqual(parseTools('  '), { tools: [], problem: null });
  assert.deepEqual(parseTools('[{"name": "look"}]').tools, [{ type: 'function', name: 'look' }]);
  for (const text of ['[', '{"name": "look"}', '[{"name": "a b"}]', '[{}]', '[null]']) {
    const { tools, problem } = parseTools(text);
    assert.deepEqual(tools, []);
    assert.ok(problem);
  }
});

test('function calls are answered, then the model goes on', () => {
  const call = { type: 'function_call', call_id: 'c', name: 'look' };
  const events = answersTo({ status: 'completed', output: [call, { ...call, call_id: 'd', name: 'other' }] }, { look: 'sun' });
  assert.deepEqual(events.map(({ type }) => type), ['conversation.item.create', 'conversation.item.create', 'response.create']);
  assert.deepEqual(events[0].item, { type: 'function_call_output', call_id: 'c', output: 'sun' });
  assert.equal(events[1].item.output, '{}');
  assert.deepEqual(answersTo({ status: 'cancelled', output: [call] }, {}), []);
  assert.deepEqual(answersTo({ status: 'completed', output: [{ type: 'message' }] }, {}), []);
});

test('audio is shortened, words are not', () => {
  const audio = 'AAAA'.repeat(1_000);
  const words = 'word '.repeat(1_000);
  const event = shortened({ type: 'x', audio, delta: words, item: { content: [{ audio, transcript: audio }] } });
  assert.ok(event.audio.length < 60 && event.audio.includes('4000'));
  assert.equal(event.delta, words);
  assert.ok(event.item.content[0].audio.length < 60);
  assert.equal(event.item.content[0].transcript, audio);
});

test('runs of audio are one entry, in both directions at once', () => {
  const record = new EventRecord();
  for (let index = 0; index < 10; index += 1) {
    record.add('sent', { type: 'input_audio_buffer.append', audio: '' }, index);
    record.add('received', { type: 'response.output_audio.delta', delta: '' }, index);
  }
  record.add('received', { type: 'response.output_text.delta', delta: 'a' }, 10);
  record.add('received', { type: 'response.output_text.delta', delta: 'b' }, 11);
  assert.deepEqual(record.entries.map(({ count }) => count), [10, 10, 1, 1]);
});

test('the record pauses, is searched, and does not grow for ever', () => {
  const record = new EventRecord();
  record.paused = true;
  assert.equal(record.add('sent', { type: 'a' }, 0), null);
  assert.equal(record.missed, 1);
  record.paused = false;
  for (let index = 0; index < 3_000; index += 1) record.add('sent', { type: index % 2 ? 'odd' : 'even', index }, index);
  assert.equal(record.entries.length, 1_000);
  assert.equal(record.matching('ODD').length, 500);
  assert.ok(matches(record.entries.at(-1), '2999'));
  const lines = EventRecord.lines(record.matching('2999')).split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines, [{ at_ms: 2999, direction: 'sent', count: 1, event: { type: 'odd', index: 2999 } }]);
});
