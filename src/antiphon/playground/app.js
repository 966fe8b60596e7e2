// Puts the page together.

import { Call } from './call.js';
import { ConversationView } from './conversation-view.js';
import { watchDevices } from './devices.js';
import { EventLog } from './event-log.js';
import { KeyDialog } from './key-dialog.js';
import { Meters } from './meters.js';
import { pushToTalk } from './push-to-talk.js';
import { Server, ServerError } from './server.js';
import { SettingsForm } from './settings-form.js';
import { themeSwitch } from './theme.js';
import { Transcript } from './transcript.js';
import { Turns } from './turns.js';
import { tabs, views } from './views.js';
import { WaterfallView } from './waterfall-view.js';

const WELCOME = {
  idle: 'Start a call and speak, or type below. Speak again at any time to interrupt.',
  hears: 'It listens. Speak, or type below.',
  byHand: 'Hold the button, or the space bar, while you speak. Or type below.',
};
const WITHOUT_INSTRUCTIONS = 'None: the model is told nothing';

const by = (id) => document.getElementById(id);

const server = new Server();
const keys = new KeyDialog(server);
const form = new SettingsForm(by('settings'));
const transcript = new Transcript();
const turns = new Turns();
const call = new Call(server, () => transcript.items());
const conversation = new ConversationView(transcript, {
  list: by('conversation'), scroller: by('scroller'), welcome: by('welcome'), live: by('spoken'),
});
const waterfall = new WaterfallView({ list: by('turn-list'), nothing: by('no-turns') });
const log = new EventLog({
  list: by('event-list'), nothing: by('no-events'), filter: by('event-filter'), pause: by('event-pause'),
  copy: by('event-copy'), download: by('event-download'), clear: by('event-clear'), count: by('event-count'),
});
const meters = new Meters(by('score'), by('level-you'), by('level-it'), {
  you: () => (call.state === 'idle' || (call.byHand && !call.talking) ? null : call.microphone.analyser),
  it: () => call.outputAnalyser,
});
let voiceHeard = false;

themeSwitch(by('theme'));
tabs(document.querySelector('[role=tablist]'));
views(document.querySelector('.views'));
showCall();
const lookForDevices = watchDevices(form, by('speaker-field'));
loadModels();

// --- what the call tells ---

call.addEventListener('event', ({ detail: { direction, event, at } }) => {
  log.add(direction, event, at);
  if (direction === 'sent') return;
  conversation.update(transcript.apply(event));
  const turn = turns.apply(event, at);
  if (turn) {
    waterfall.update(turn);
    waterfall.keep(turns.turns);
  }
  if (event.type === 'conversation.item.truncated') meters.markCut();
  if (event.type === 'session.created') {
    by('settings').elements.instructions.placeholder = event.session.instructions || WITHOUT_INSTRUCTIONS;
    form.setServersTurns(event.session.audio.input.turn_detection);
    showCall();
  }
  if (event.type === 'response.output_audio_transcript.delta' && !voiceHeard) {
    voiceHeard = true;
    showCall();
  }
});

call.addEventListener('position', ({ detail: { itemId, ms } }) => conversation.update(transcript.played(itemId, ms)));

call.addEventListener('state', ({ detail: { state, label, problem } }) => {
  by('status').dataset.state = state;
  by('status-label').textContent = label;
  if (state === 'connecting') voiceHeard = false;
  if (problem) {
    const again = state === 'waiting' ? ['Reconnect now', () => call.reconnect()] : ['Try again', start];
    showBanner(problem.words, ...again);
  } else if (state === 'idle' || (state === 'live' && by('banner').dataset.about !== 'microphone')) hideBanner();
  showCall();
});

call.addEventListener('microphone', ({ detail: { problem } }) => {
  if (problem && call.state === 'waiting') return; // the connection comes first
  if (problem) showBanner(`${problem} Meanwhile you can type.`, 'Try again', () => call.openMicrophone(), 'microphone');
  else {
    hideBanner();
    lookForDevices();
  }
});

call.addEventListener('talking', ({ detail: { talking } }) => by('push').setAttribute('aria-pressed', String(talking)));
call.addEventListener('muted', ({ detail: { muted } }) => by('mute').setAttribute('aria-pressed', String(muted)));
call.addEventListener('hint', ({ detail: { words } }) => conversation.update(transcript.notice(words)));

// --- what people do ---

form.addEventListener('change', ({ detail }) => {
  call.update(detail);
  showCall();
});

by('call').addEventListener('click', () => (call.state === 'idle' ? start() : call.hangUp()));
by('mute').addEventListener('click', () => (call.muted = !call.muted));
by('stop').addEventListener('click', () => call.interrupt());
pushToTalk(by('push'), { press: () => call.press(), release: () => call.release() });

addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !event.target.closest('dialog')) call.interrupt();
});

by('composer').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = by('message').value.trim();
  if (!text) return;
  by('message').value = '';
  if (call.state === 'idle') await start();
  if (call.state === 'live') await call.say(text);
  else by('message').value = text;
});

by('banner-close').addEventListener('click', hideBanner);

async function start() {
  hideBanner();
  for (const kept of [transcript, turns, conversation, waterfall]) kept.clear();
  if (!(await loadModels())) return;
  await call.start(form.values);
}

/** Offer the server's models. Return whether they are known. */
async function loadModels() {
  const load = () => server.models();
  let models;
  try {
    models = await load();
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (error.status === 401) models = await keys.ask(load);
    else showBanner(error.message, 'Try again', async () => (await loadModels()) && hideBanner());
  }
  if (!models) return false;
  form.setModels(models);
  return true;
}

// --- what is shown ---

function showCall() {
  const inCall = call.state !== 'idle';
  const live = call.state === 'live';
  const { byHand } = call;
  by('call').dataset.state = call.state;
  by('call').firstElementChild.textContent = inCall ? { live: 'Hang up' }[call.state] ?? 'Cancel' : 'Start a call';
  const held = document.activeElement === by('push');
  by('push').hidden = !(live && byHand);
  // The space bar talks; on the button that started the call it would end it.
  if (!by('push').hidden && document.activeElement === by('call')) by('push').focus();
  if (by('push').hidden && held) by('call').focus();
  by('mute').hidden = !live || byHand;
  by('stop').hidden = !live;
  by('welcome-words').textContent = WELCOME[live ? (byHand ? 'byHand' : 'hears') : 'idle'];
  form.lock({ inCall, voiceHeard });
}

function showBanner(words, action = null, act = null, about = 'call') {
  by('banner').dataset.about = about;
  by('banner-words').textContent = words;
  by('banner-action').hidden = !action;
  by('banner-action').textContent = action ?? '';
  by('banner-action').onclick = act;
  by('banner').hidden = false;
}

function hideBanner() {
  by('banner').hidden = true;
}
