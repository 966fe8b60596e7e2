// A call of @openai/agents-realtime in a browser, with its own WebRTC transport.

import { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

/** Call, and tell the test what happens through `reported`. */
window.call = async (url, apiKey, toolChoice) => {
  const report = (kind, told = {}) => window.reported(kind, JSON.stringify(told));
  const weather = tool({
    name: 'get_weather',
    description: 'Look up the weather.',
    parameters: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      // The stand-in model calls whenever it must: let the next answer be in words.
      session.transport.updateSessionConfig({ toolChoice: 'auto' });
      return `It is sunny in ${city}.`;
    },
  });
  const agent = new RealtimeAgent({ name: 'Assistant', instructions: 'Be brief.', tools: [weather] });
  const audioElement = document.createElement('audio');
  const transport = new OpenAIRealtimeWebRTC({ audioElement });
  const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime', config: { toolChoice } });
  session.on('error', ({ error }) => report('error', { error: String(error?.error?.message ?? error) }));
  session.on('agent_end', (context, agent, output) => report('agent_end', { output }));
  session.on('agent_tool_end', (context, agent, { name }, result) => report('tool_end', { name, result }));
  session.on('history_updated', (items) => report('history', { items }));
  await session.connect({ apiKey, url });
  report('connected');

  // How loud the answer is, in dBFS: what the package's own audio element plays.
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(audioElement.srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  window.loudest = -100;
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    window.loudest = Math.max(window.loudest, 10 * Math.log10(power + 1e-10));
  }, 20);
  window.hangUp = () => session.close();
  window.say = (text) => session.sendMessage(text);
};
