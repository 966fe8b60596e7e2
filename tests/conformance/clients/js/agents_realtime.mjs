// A session of @openai/agents-realtime over WebSocket, as a program.

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

// The package drops frames that its schemas refuse, without a word; here they are reported.
import { parseRealtimeEvent } from './node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs';
import { Log, main, report, speech } from './reports.mjs';

/** A connected session; everything that it says is reported as it comes. */
class Talk {
  log = new Log();

  constructor(url, config = {}) {
    const weather = tool({
      name: 'get_weather',
      description: 'Look up the weather.',
      parameters: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        // The stand-in model calls whenever it must: let the next answer be in words.
        this.session.transport.updateSessionConfig({ ...config, toolChoice: 'auto' });
        return `It is sunny in ${city}.`;
      },
    });
    const agent = new RealtimeAgent({ name: 'Assistant', instructions: 'Be brief.', tools: [weather] });
    const transport = new OpenAIRealtimeWebSocket({ url });
    this.session = new RealtimeSession(agent, { transport, model: 'gpt-realtime', config });
    transport.on('*', (event) => {
      const { isGeneric } = parseRealtimeEvent({ data: JSON.stringify(event) });
      if (isGeneric) report('refused', { type: event.type });
      this.log.add(event);
    });
    this.session.on('error', ({ error }) => report('error', { error: String(error?.error?.message ?? error) }));
    this.session.on('audio', (event) => report('audio', { response_id: event.responseId, bytes: event.data.byteLength }));
    this.session.on('audio_interrupted', () => report('audio_interrupted'));
    this.session.on('agent_end', (context, agent, output) => report('agent_end', { output }));
    this.session.on('agent_tool_end', (context, agent, { name }, result, { toolCall }) => {
      report('tool_end', { name, result, arguments: toolCall.arguments });
    });
    this.session.on('history_updated', () => this.log.add({ type: 'history' }));
  }

  async open(url) {
    await this.session.connect({ apiKey: 'any', url });
    await this.log.type('session.updated', 2); // its own configuration, and tracing
    return this;
  }

  speak() {
    for (const piece of speech()) {
      this.session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.byteLength));
    }
  }

  /** Wait until the history holds what `holds` asks for. */
  async history(holds) {
    await this.log.until(() => holds(this.session.history));
  }

  close() {
    report('history', { items: this.session.history });
    this.session.close();
  }
}

const connect = (url, config) => new Talk(url, config).open(url);
const words = (item) => item.content.map((part) => part.transcript ?? part.text ?? '').join(' ');

await main({
  spoken_turns: async (url) => {
    const talk = await connect(url);
    for (const turn of [1, 2]) {
      talk.speak();
      await talk.log.type('response.done', turn);
      // Both transcripts come with the items that the client retrieves.
      await talk.history((items) => items.filter((item) => words(item)).length === 2 * turn);
    }
    talk.close();
  },

  tool: async (url) => {
    const talk = await connect(url, { toolChoice: 'required' });
    talk.session.sendMessage('What is the weather in Paris?');
    await talk.log.type('response.done', 2);
    talk.close();
  },

  speaking_over: async (url) => {
    const talk = await connect(url);
    talk.speak();
    await talk.log.type('response.output_audio.delta');
    talk.speak();
    await talk.log.type('conversation.item.truncated');
    await talk.log.type('conversation.item.retrieved');
    await talk.log.type('response.created', 2);
    talk.close();
  },

  interrupting: async (url) => {
    const turnDetection = { type: 'server_vad', interruptResponse: false };
    const talk = await connect(url, { audio: { input: { turnDetection } } });
    talk.session.sendMessage('Tell me a story.');
    await talk.log.type('response.output_audio.delta');
    talk.session.interrupt();
    await talk.log.type('response.done');
    await talk.log.type('conversation.item.truncated');
    talk.session.sendMessage('Tell me another.');
    await talk.log.type('response.created', 2);
    talk.close();
  },

  context: async (url) => {
    const talk = await connect(url);
    const message = (itemId, role, type, text) => ({
      itemId,
      type: 'message',
      role,
      status: 'completed',
      content: [{ type, text }],
    });
    const alice = message('hist_alice', 'user', 'input_text', 'My name is Alice.');
    const hello = message('hist_hello', 'assistant', 'output_text', 'Nice to meet you!');
    const who = message('hist_who', 'user', 'input_text', 'Who am I?');
    talk.session.updateHistory([alice, hello, who]);
    await talk.history((items) => items.length === 3);
    report('before', { texts: talk.session.history.map(words) });
    // Changed, away, and new in the middle.
    const bob = message('hist_alice', 'user', 'input_text', 'My name is Bob.');
    const baker = message('hist_baker', 'user', 'input_text', 'I am a baker.');
    talk.session.updateHistory([bob, baker, who]);
    await talk.history((items) => items.map(words).join() === [bob, baker, who].map(words).join());
    talk.session.transport.requestResponse();
    await talk.log.type('response.done');
    talk.close();
  },

  manual: async (url) => {
    const talk = await connect(url, { audio: { input: { turnDetection: null } } });
    for (const turn of [1, 2]) {
      const pcm = Buffer.concat(speech());
      talk.session.sendAudio(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + pcm.byteLength), { commit: true });
      talk.session.transport.requestResponse();
      await talk.log.type('response.done', turn);
    }
    await talk.history((items) => items.filter((item) => words(item)).length === 4);
    talk.close();
  },
});
