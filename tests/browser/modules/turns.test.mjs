import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns, answerTimes, ticks, waterfall } from '../../../src/antiphon/playground/turns.js';

const MOMENTS = {
  speech_started: -2100, speech_paused: -419, draft_started: -419, transcript: -339, first_token: -248,
  first_clause: -177, first_audio_made: -144, speech_stopped: 0, response_created: 0.2, first_audio_sent: 0.3, response_done: 812,
};

const stopped = { type: 'input_audio_buffer.speech_stopped', item_id: 'u' };
const timeline = {
  type: 'antiphon.turn.timeline', item_id: 'u', response_id: 'r', audio_ms: 1680, drafts: 2, adopted: 'reply', since_speech_stopped_ms: MOMENTS,
};

/** A turn whose events came at the times given, in ms. */
function seen(turns = new Turns()) {
  turns.apply(stopped, 1_000);
  turns.apply({ type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: ' Hi. ' }, 1_080);
  turns.apply({ type: 'response.created', response: { id: 'r' } }, 1_090);
  turns.apply({ type: 'response.output_audio_transcript.delta', response_id: 'r' }, 1_200);
  turns.apply({ type: 'response.output_audio_transcript.delta', response_id: 'r' }, 1_300);
  turns.apply({ type: 'response.output_audio.delta', response_id: 'r' }, 1_250);
  turns.apply({ type: 'response.done', response: { id: 'r' } }, 1_900);
  return turns;
}

test('without a timeline the times are those at which the events came', () => {
  const [turn] = seen().turns;
  assert.equal(turn.source, 'page');
  assert.equal(turn.words, 'Hi.');
  assert.deepEqual(turn.moments, {
    speech_stopped: 0, transcript: 80, response_created: 90, first_token: 200, first_audio_sent: 250, response_done: 900,
  });
  const { bars, min, max } = waterfall(turn);
  assert.deepEqual(bars.map(({ name, ms }) => [name, ms]), [['transcript', 80], ['response', 90], ['first_token', 110], ['sent', 250]]);
  assert.deepEqual([min, max], [0, 250]);
  assert.deepEqual(answerTimes(turn), { afterTurn: 250, afterPause: null });
});

test('a WebRTC call tells the first audio by the output buffer', () => {
  const turns = new Turns();
  turns.apply(stopped, 0);
  turns.apply({ type: 'response.created', response: { id: 'r' } }, 5);
  turns.apply({ type: 'output_audio_buffer.started', response_id: 'r' }, 42);
  assert.equal(turns.turns[0].moments.first_audio_sent, 42);
});

test('the server’s timeline takes the place of what was seen', () => {
  const turns = seen();
  const turn = turns.apply(timeline, 2_000);
  assert.equal(turns.turns.length, 1);
  assert.deepEqual([turn.source, turn.adopted, turn.drafts, turn.audioMs], ['server', 'reply', 2, 1680]);
  const { bars, min, max } = waterfall(turn);
  assert.deepEqual(bars.map(({ name }) => name), ['silence', 'transcript', 'first_token', 'first_clause', 'first_audio', 'sent']);
  assert.deepEqual(bars.map(({ ms }) => Math.round(ms)), [419, 80, 91, 71, 33, 0]);
  assert.deepEqual([min, max], [-419, 0.3]);
  assert.ok(bars.every(({ start, end }) => start >= min && start <= end && end <= max));
  assert.deepEqual(answerTimes(turn), { afterTurn: 0.3, afterPause: 419.3 });
});

test('the pause begins where it was noticed first', () => {
  const moments = { draft_started: -530, speech_paused: -421, speech_stopped: 0, first_audio_sent: 34 };
  assert.deepEqual(answerTimes({ moments }), { afterTurn: 34, afterPause: 564 });
});

test('without a draft every stage comes after the turn', () => {
  const moments = { speech_paused: -421, speech_stopped: 0, transcript: 85, first_token: 190, first_clause: 260, first_audio_made: 290 };
  const { bars } = waterfall({ source: 'server', moments });
  assert.deepEqual(bars.map(({ name, ms }) => [name, ms]), [
    ['silence', 421], ['transcript', 85], ['first_token', 105], ['first_clause', 70], ['first_audio', 30],
  ]);
});

test('a model that hears and speaks waits for no transcript and makes no clauses', () => {
  const moments = { speech_paused: -421, speech_stopped: 0, first_token: 250, transcript: 300, first_audio_made: 260, first_audio_sent: 262 };
  const { bars } = waterfall({ source: 'server', moments });
  assert.deepEqual(bars.map(({ name, ms }) => [name, ms]), [
    ['silence', 421], ['transcript', 300], ['first_token', 250], ['first_audio', 10], ['sent', 262],
  ]);
});

test('moments that did not happen have no bar', () => {
  const turns = seen();
  const turn = turns.apply({ ...timeline, since_speech_stopped_ms: { speech_stopped: 0, transcript: 12 } }, 2_000);
  assert.deepEqual(waterfall(turn).bars.map(({ name }) => name), ['transcript']);
  assert.deepEqual(answerTimes(turn), { afterTurn: null, afterPause: null });
});

test('a turn that is committed by hand is a turn, and one that was detected is not counted twice', () => {
  const turns = new Turns();
  turns.apply({ type: 'input_audio_buffer.committed', item_id: 'u' }, 10);
  turns.apply(stopped, 20);
  turns.apply({ ...stopped, item_id: 'v' }, 20);
  turns.apply({ type: 'input_audio_buffer.committed', item_id: 'v' }, 21);
  assert.deepEqual(turns.turns.map(({ id, number }) => [id, number]).slice(-1), [['v', turns.turns.length]]);
  assert.equal(turns.turns.filter(({ id }) => id === 'v').length, 1);
});

test('a response to what was typed is no answer to a spoken turn', () => {
  const turns = seen();
  turns.apply({ type: 'response.created', response: { id: 's' } }, 5_000);
  turns.apply({ type: 'response.output_audio.delta', response_id: 's' }, 5_100);
  assert.equal(turns.turns[0].moments.first_audio_sent, 250);
});

/** A turn whose answer calls a tool, and what is said once that is answered. */
function withTool(turns) {
  const call = { type: 'function_call', name: 'look' };
  turns.apply({ type: 'response.created', response: { id: 'r' } }, 1_090);
  turns.apply({ type: 'response.done', response: { id: 'r', status: 'completed', output: [call] } }, 1_400);
  if (turns.timeline) turns.apply({ ...timeline, since_speech_stopped_ms: turns.timeline }, 1_401);
  turns.apply({ type: 'response.created', response: { id: 's' } }, 1_410);
  turns.apply({ type: 'response.output_audio_transcript.delta', response_id: 's' }, 1_500);
  turns.apply({ type: 'response.output_audio.delta', response_id: 's' }, 1_550);
  turns.apply({ type: 'response.done', response: { id: 's', status: 'completed', output: [{ type: 'message' }] } }, 1_900);
  return turns.turns[0];
}

test('the answer to a turn that needs a tool is the one after the tool’s', () => {
  const turns = new Turns();
  turns.apply(stopped, 1_000);
  turns.apply({ type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: 'Hi.' }, 1_080);
  const turn = withTool(turns);
  assert.deepEqual([turn.source, turn.tools], ['page', ['look']]);
  assert.deepEqual(answerTimes(turn), { afterTurn: 550, afterPause: null });
  const { bars } = waterfall(turn);
  assert.deepEqual(bars.map(({ name, ms }) => [name, ms]), [
    ['transcript', 80], ['response', 90], ['tools', 320], ['first_token', 100], ['sent', 550],
  ]);
});

test('a server’s timeline ends where the tool is called; the page saw the rest', () => {
  const turns = Object.assign(new Turns(), { timeline: { speech_paused: -400, speech_stopped: 0, transcript: 80, response_created: 90 } });
  turns.apply(stopped, 1_000);
  const turn = withTool(turns);
  assert.deepEqual([turn.source, turn.tools], ['server', ['look']]);
  assert.deepEqual(answerTimes(turn), { afterTurn: 550, afterPause: 950 });
  assert.deepEqual(waterfall(turn).bars.map(({ name, ms }) => [name, ms]), [
    ['silence', 400], ['transcript', 80], ['tools', 320], ['first_token', 100], ['sent', 550],
  ]);
});

test('who goes on before the tool is answered has a turn of its own', () => {
  const turns = new Turns();
  turns.apply(stopped, 1_000);
  turns.apply({ type: 'response.created', response: { id: 'r' } }, 1_090);
  turns.apply({ ...stopped, item_id: 'v' }, 1_300);
  const output = [{ type: 'function_call', name: 'look' }];
  turns.apply({ type: 'response.done', response: { id: 'r', status: 'completed', output } }, 1_400);
  turns.apply({ type: 'response.created', response: { id: 's' } }, 1_410);
  assert.equal(turns.turns[1].moments.response_created, 110);
});

test('it does not grow for ever', () => {
  const turns = new Turns();
  for (let index = 0; index < 250; index += 1) turns.apply({ ...stopped, item_id: String(index) }, index);
  assert.equal(turns.turns.length, 100);
  assert.equal(turns.turns.at(-1).number, 250);
});

test('ticks are round, few, and within', () => {
  for (const [min, max] of [[-419, 0.3], [0, 3], [-2100, 812], [0, 0.4], [-35, 1200]]) {
    const marks = ticks(min, max);
    assert.ok(marks.length >= 1 && marks.length <= 6, `${min} ${max}: ${marks}`);
    assert.ok(marks.every((mark) => mark >= min && mark <= max));
  }
  assert.deepEqual(ticks(-419, 0.3), [-400, -300, -200, -100, 0]);
});
