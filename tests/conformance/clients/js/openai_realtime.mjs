// The openai package's realtime connections, as a program. They speak TLS only.

import OpenAI, { AzureOpenAI } from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { WebSocket } from 'ws';

import { Log, main, report, speech } from './reports.mjs';

const WEATHER = {
  type: 'function',
  name: 'get_weather',
  description: 'Look up the weather for a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};

/** A connection; every event is reported as it comes, audio as its length. */
class Talk {
  log = new Log();

  constructor(realtime) {
    this.realtime = realtime;
    realtime.on('error', (error) => report('error', { message: error.message, error: error.error }));
    realtime.on('event', (event) => {
      if (event.type === 'response.output_audio.delta') {
        report('audio', { response_id: event.response_id, bytes: Buffer.from(event.delta, 'base64').length });
      } else {
        report('event', { event });
      }
      this.log.add(event);
    });
  }

  async open() {
    await this.log.type('session.created');
    return this;
  }

  send(event) {
    this.realtime.send(event);
  }

  speak() {
    for (const piece of speech()) {
      this.send({ type: 'input_audio_buffer.append', audio: piece.toString('base64') });
    }
  }

  async write(text, where = {}) {
    const before = this.log.entries.filter((event) => event.type === 'conversation.item.done').length;
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    this.send({ type: 'conversation.item.create', item, ...where });
    return (await this.log.type('conversation.item.done', before + 1))[before].item;
  }
}

function client(url) {
  const baseURL = url.replace(/^wss:/, 'https:').replace(/\/realtime$/, '');
  return new OpenAI({ apiKey: 'any', baseURL, dangerouslyAllowBrowser: true });
}

function connect(url) {
  return new Talk(new OpenAIRealtimeWS({ model: 'gpt-realtime' }, client(url))).open();
}

async function spokenTurn(talk) {
  const audio = { input: { transcription: { model: 'whisper-1' } } };
  talk.send({ type: 'session.update', session: { type: 'realtime', audio } });
  await talk.log.type('session.updated');
  talk.speak();
  await talk.log.type('response.done');
  await talk.log.type('conversation.item.input_audio_transcription.completed');
}

await main({
  spoken_turn: async (url) => spokenTurn(await connect(url)),

  // What browsers have: a WebSocket that can send no headers, so that the key goes as a subprotocol.
  spoken_turn_in_a_browser: async (url) => {
    globalThis.WebSocket = WebSocket;
    await spokenTurn(await new Talk(new OpenAIRealtimeWebSocket({ model: 'gpt-realtime' }, client(url))).open());
  },

  spoken_turn_with_azure: async (url) => {
    const azure = new AzureOpenAI({ apiKey: 'any', apiVersion: '2025-08-28', endpoint: new URL(url.replace(/^wss:/, 'https:')).origin });
    const realtime = await OpenAIRealtimeWS.azure(azure, { deploymentName: 'our-own-name' });
    await spokenTurn(await new Talk(realtime).open());
  },

  tool: async (url) => {
    const talk = await connect(url);
    talk.send({ type: 'session.update', session: { type: 'realtime', tools: [WEATHER] } });
    await talk.write('What is the weather in Paris?');
    talk.send({ type: 'response.create', response: { tool_choice: 'required', metadata: { step: '1' } } });
    const [done] = await talk.log.type('response.function_call_arguments.done');
    await talk.log.type('response.done');
    const output = { type: 'function_call_output', call_id: done.call_id, output: '{"celsius": 21}' };
    talk.send({ type: 'conversation.item.create', item: output });
    talk.send({ type: 'response.create' });
    await talk.log.type('response.done', 2);
  },

  interruption: async (url) => {
    const talk = await connect(url);
    talk.speak();
    const [first] = await talk.log.type('response.output_audio.delta');
    talk.speak();
    await talk.log.type('response.done');
    const cut = { type: 'conversation.item.truncate', item_id: first.item_id, content_index: 0, audio_end_ms: 100 };
    talk.send(cut);
    await talk.log.type('conversation.item.truncated');
    await talk.log.type('response.created', 2);
    talk.send({ type: 'response.cancel' });
    await talk.log.type('response.done', 2);
  },

  context: async (url) => {
    const talk = await connect(url);
    const first = await talk.write('My name is Alice.');
    const last = await talk.write('Who am I?');
    await talk.write('I am a baker.', { previous_item_id: first.id });
    await talk.write('Hello.', { previous_item_id: 'root' });
    talk.send({ type: 'conversation.item.delete', item_id: last.id });
    await talk.log.type('conversation.item.deleted');
    talk.send({ type: 'conversation.item.delete', item_id: last.id, event_id: 'again' });
    await talk.log.type('error');
  },

  transcription: async (url) => {
    const talk = await new Talk(new OpenAIRealtimeWS({ intent: 'transcription' }, client(url))).open();
    const audio = { input: { transcription: { model: 'gpt-4o-transcribe' } } };
    talk.send({ type: 'session.update', session: { type: 'transcription', audio } });
    await talk.log.type('session.updated');
    talk.speak();
    await talk.log.type('conversation.item.input_audio_transcription.completed');
  },

  reconnecting: async (url) => {
    const recovery = { model: 'gpt-realtime', reconnect: true, reconnectInitialDelay: 10 };
    const realtime = new OpenAIRealtimeWS(recovery, client(url));
    const talk = await new Talk(realtime).open();
    realtime.on('reconnecting', (event) => report('reconnecting', { code: event.closeCode ?? event.code }));
    await new Promise((resolve) => realtime.on('reconnected', resolve));
    await talk.log.type('session.created', 2);
    await talk.write('Hello again.');
    realtime.close();
  },
});
