import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Transcript } from '../../../src/antiphon/playground/transcript.js';

const TEXT = 'One two three four five six.';

/** An answer of which each delta's words and audio (500 ms) have come, as the server sends them. */
function answer(transcript, words = TEXT.split(/(?<= )/)) {
  transcript.apply({ type: 'conversation.item.added', item: { id: 'a', type: 'message', role: 'assistant', content: [] } });
  for (const delta of words) {
    transcript.apply({ type: 'response.output_audio_transcript.delta', item_id: 'a', delta });
    transcript.apply({ type: 'response.output_audio.delta', item_id: 'a', duration_ms: 500 });
  }
  return transcript.entry('a');
}

test('a spoken turn is spoken, then transcribed, then there', () => {
  const transcript = new Transcript();
  transcript.apply({ type: 'input_audio_buffer.speech_started', item_id: 'u' });
  assert.equal(transcript.entry('u').state, 'speaking');
  transcript.apply({ type: 'conversation.item.input_audio_transcription.delta', item_id: 'u', delta: 'Hel' });
  assert.equal(transcript.entry('u').text, 'Hel');
  transcript.apply({ type: 'input_audio_buffer.speech_stopped', item_id: 'u' });
  assert.equal(transcript.entry('u').state, 'transcribing');
  transcript.apply({ type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: ' Hello. ' });
  transcript.apply({ type: 'input_audio_buffer.committed', item_id: 'u' });
  assert.deepEqual([transcript.entry('u').text, transcript.entry('u').state], ['Hello.', 'done']);
});

test('what was heard of an answer follows its playing, word by word', () => {
  const transcript = new Transcript();
  const entry = answer(transcript);
  assert.equal(entry.heard, 0);
  const heard = [];
  for (let ms = 0; ms <= 3000; ms += 50) {
    transcript.played('a', ms);
    heard.push(entry.heard);
  }
  assert.ok(heard.every((now, index) => index === 0 || now >= heard[index - 1]));
  assert.ok(heard.every((now) => now === TEXT.length || TEXT[now] === ' '));
  assert.equal(heard.at(-1), TEXT.length);
});

test('an interruption cuts where it was heard, and the server knows the word', () => {
  const transcript = new Transcript();
  const entry = answer(transcript);
  transcript.played('a', 1_000);
  transcript.apply({ type: 'conversation.item.truncated', item_id: 'a', audio_end_ms: 1_100 });
  assert.deepEqual(entry.cut, { ms: 1_100 });
  assert.equal(TEXT.slice(0, entry.heard), 'One two three');
  const item = { id: 'a', type: 'message', role: 'assistant', content: [{ type: 'output_audio', transcript: 'One two' }] };
  transcript.apply({ type: 'conversation.item.retrieved', item });
  assert.equal(TEXT.slice(0, entry.heard), 'One two');
  transcript.apply({ type: 'response.output_audio_transcript.delta', item_id: 'a', delta: ' seven' });
  assert.equal(entry.text, TEXT);
});

test('a cut without audio events, as in a WebRTC call, waits for the server', () => {
  const transcript = new Transcript();
  transcript.apply({ type: 'response.output_audio_transcript.delta', item_id: 'a', delta: TEXT });
  transcript.apply({ type: 'conversation.item.truncated', item_id: 'a', audio_end_ms: 900 });
  assert.equal(transcript.entry('a').heard, null);
  const item = { id: 'a', content: [{ type: 'output_audio', transcript: 'One' }] };
  transcript.apply({ type: 'conversation.item.retrieved', item });
  assert.equal(transcript.entry('a').heard, 3);
});

test('a function call is shown with its answer', () => {
  const transcript = new Transcript();
  const item = { id: 'f', type: 'function_call', name: 'look', call_id: 'c', arguments: '' };
  transcript.apply({ type: 'conversation.item.added', item });
  transcript.apply({ type: 'response.function_call_arguments.delta', item_id: 'f', delta: '{"a"' });
  transcript.apply({ type: 'response.function_call_arguments.done', item_id: 'f', arguments: '{"a":1}' });
  transcript.apply({ type: 'conversation.item.added', item: { id: 'o', type: 'function_call_output', call_id: 'c', output: 'yes' } });
  const { tool } = transcript.entry('f');
  assert.deepEqual([tool.name, tool.arguments, tool.output], ['look', '{"a":1}', 'yes']);
  assert.equal(transcript.entries.length, 1);
});

test('another session is told what was said and heard', () => {
  const transcript = new Transcript();
  transcript.apply({
    type: 'conversation.item.added',
    item: { id: 'u', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Count.' }] },
  });
  answer(transcript);
  transcript.apply({ type: 'conversation.item.truncated', item_id: 'a', audio_end_ms: 900 });
  transcript.notice('nothing that was said');
  const items = transcript.items();
  assert.deepEqual(items, [
    { id: 'u', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Count.' }] },
    { id: 'a', type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'One two' }] },
  ]);
  // What the new session then adds is there already, and stays as it was said.
  for (const item of items) assert.deepEqual(transcript.apply({ type: 'conversation.item.added', item }), []);
  assert.equal(transcript.entry('a').text, TEXT);
});

test('failures are told in words', () => {
  const transcript = new Transcript();
  transcript.apply({ type: 'error', error: { message: 'No.' } });
  transcript.apply({
    type: 'response.done',
    response: { status: 'failed', output: [], status_details: { error: { message: 'Broken.' } } },
  });
  assert.deepEqual(transcript.entries.map(({ kind, text, state }) => [kind, text, state]), [
    ['notice', 'No.', 'failed'],
    ['notice', 'Broken.', 'failed'],
  ]);
});

test('it does not grow for ever', () => {
  const transcript = new Transcript();
  for (let index = 0; index < 1_000; index += 1) transcript.notice(String(index));
  assert.equal(transcript.entries.length, 400);
  assert.equal(transcript.entries.at(-1).text, '999');
});
