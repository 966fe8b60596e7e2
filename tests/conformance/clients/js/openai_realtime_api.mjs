// The openai-realtime-api package, which speaks beta, as a program.

import { RealtimeClient } from 'openai-realtime-api';

import { Log, main, report, speech } from './reports.mjs';

const LAMP = { name: 'lamp', description: 'Turn on the lamp.', parameters: { type: 'object', properties: {} } };

/** A client; its own events are reported, and every frame of the server by its type. */
class Talk {
  log = new Log();

  constructor(url) {
    this.client = new RealtimeClient({ url, apiKey: 'any', relay: false });
    this.client.on('realtime.event', ({ source, event }) => {
      if (source !== 'server') return;
      report('frame', { type: event.type, status: event.response?.status });
      this.log.add(event);
    });
    this.client.on('conversation.item.completed', ({ item }) => {
      report('item', { role: item.role, item_type: item.type, formatted: { ...item.formatted, audio: item.formatted.audio?.length ?? 0 } });
    });
    this.client.on('error', (error) => report('error', { error }));
  }

  async open() {
    await this.client.connect();
    await this.client.waitForSessionCreated();
    return this;
  }

  speak() {
    for (const piece of speech()) {
      // A copy: the package sends all of the memory that an array lies in.
      this.client.appendInputAudio(new Int16Array(piece.buffer, piece.byteOffset, piece.length / 2).slice());
    }
  }

  write(text) {
    this.client.sendUserMessageContent([{ type: 'input_text', text }]);
  }
}

const connect = (url) => new Talk(url).open();

await main({
  spoken_turn: async (url) => {
    const talk = await connect(url);
    talk.client.updateSession({ turn_detection: { type: 'server_vad' }, input_audio_transcription: { model: 'whisper-1' } });
    talk.speak();
    await talk.log.type('response.done');
    await talk.log.type('conversation.item.input_audio_transcription.completed');
  },

  manual_turn: async (url) => {
    const talk = await connect(url);
    talk.client.updateSession({ turn_detection: null });
    talk.speak();
    talk.client.createResponse();
    await talk.log.type('response.done');
  },

  tool: async (url) => {
    const talk = await connect(url);
    talk.client.addTool(LAMP, async () => {
      report('called');
      talk.client.updateSession({ tool_choice: 'auto' });
      return { lamp: 'on' };
    });
    talk.client.updateSession({ tool_choice: 'required' });
    talk.write('Light, please.');
    await talk.log.type('response.done', 2);
  },

  interruption: async (url) => {
    const talk = await connect(url);
    talk.write('Tell me everything.');
    const [delta] = await talk.log.type('response.audio.delta');
    talk.client.cancelResponse(delta.item_id, 480);
    await talk.log.type('response.done');
    await talk.log.type('conversation.item.truncated');
  },

  context: async (url) => {
    const talk = await connect(url);
    talk.write('Hello.');
    const [{ item }] = await talk.log.type('conversation.item.created');
    await talk.log.type('response.done');
    talk.client.deleteItem(item.id);
    await talk.log.type('conversation.item.deleted');
    report('left', { items: talk.client.conversation.getItems().map((left) => left.role) });
  },
});
