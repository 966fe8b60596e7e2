// From what the settings say to the protocol's session object. No DOM.

const NUMBERS = ['threshold', 'prefix_padding_ms', 'silence_duration_ms'];

/** Return the `session` of a session.update. */
export function sessionConfig(settings) {
  return {
    type: 'realtime',
    instructions: settings.instructions,
    audio: {
      input: {
        transcription: { model: 'whisper-1' },
        noise_reduction: settings.noiseReduction === 'off' ? null : { type: settings.noiseReduction },
        turn_detection: turnDetection(settings),
      },
      output: settings.voice ? { voice: settings.voice } : {},
    },
    tools: settings.tools,
    tool_choice: settings.tools.length ? settings.toolChoice : 'auto',
  };
}

function turnDetection(settings) {
  switch (settings.turns) {
    case 'semantic_vad':
      return { type: 'semantic_vad', eagerness: settings.eagerness, interrupt_response: settings.interruptible };
    case 'none':
      return null;
    default: {
      const given = NUMBERS.filter((name) => Number.isFinite(settings[name])).map((name) => [name, settings[name]]);
      return {
        type: 'server_vad',
        ...Object.fromEntries(given),
        idle_timeout_ms: settings.idle_timeout_ms || null,
        interrupt_response: settings.interruptible,
      };
    }
  }
}
