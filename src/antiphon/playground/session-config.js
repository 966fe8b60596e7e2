// From what the settings say to the protocol's session object. No DOM.

const NUMBERS = ['threshold', 'prefix_padding_ms', 'silence_duration_ms'];

/**
 * Return the `session` of a session.update. `own` is the session as the server opened it, once it is known: what nobody
 * has chosen stays, or becomes again, what it was there.
 */
export function sessionConfig(settings, own = null) {
  const instructions = settings.instructions || own?.instructions;
  const detection = settings.turns === 'server' ? own?.audio.input.turn_detection : turnDetection(settings);
  return {
    type: 'realtime',
    ...(instructions === undefined ? {} : { instructions }),
    audio: {
      input: {
        transcription: { model: 'whisper-1' },
        noise_reduction: settings.noiseReduction === 'off' ? null : { type: settings.noiseReduction },
        ...(detection === undefined ? {} : { turn_detection: detection }),
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

/** Return what a `turn_detection` object says, as pairs of a name and its value in words. */
export function inWords(detection) {
  if (!detection) return [['Ends a turn', 'you, with the button']];
  const given = (name, words) => (detection[name] === undefined ? [] : [words(detection[name])]);
  return [
    ...given('silence_duration_ms', (ms) => ['Silence that ends a turn', `${ms} ms`]),
    ...given('threshold', (threshold) => ['Speech threshold', `${threshold}`]),
    ...given('prefix_padding_ms', (ms) => ['Audio kept before speech', `${ms} ms`]),
    ...given('idle_timeout_ms', (ms) => ['Ask again when idle for', ms ? `${ms} ms` : 'never']),
    ...given('eagerness', (eagerness) => ['Eagerness to answer', eagerness]),
    ...given('interrupt_response', (may) => ['I can interrupt', may ? 'yes' : 'no']),
    ...(detection.create_response === false ? [['Answers by itself', 'no']] : []),
  ];
}
