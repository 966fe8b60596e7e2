// The microphone: opening it, saying in words why it does not open, and its samples.

const WORDS = {
  NotAllowedError:
    'The browser keeps the microphone from this page. Allow it in the browser’s address bar, then try again.',
  NotFoundError: 'No microphone was found. Plug one in, then try again.',
  NotReadableError: 'The microphone does not open: another program may be using it, or the system blocks it.',
  OverconstrainedError: 'The chosen microphone is gone. Choose another one in the settings.',
  Unreachable: 'A part of this page that the microphone needs cannot be loaded from the server.',
  Insecure:
    'Browsers give a microphone only to pages from this machine (http://localhost) or over HTTPS, and this is neither.',
};

export class MicrophoneError extends Error {}

export class Microphone {
  #context = null;
  #muted = false;

  stream = null;
  analyser = null;
  onChunk = null;

  /** `onLost(words)` is told when the microphone goes away while it is in use. */
  constructor(onLost) {
    this.onLost = onLost;
  }

  get track() {
    return this.stream?.getAudioTracks()[0] ?? null;
  }

  /** Open it. `device` is a device id; '' for the system's own. Throws MicrophoneError with words for people. */
  async open(device) {
    this.close();
    if (!navigator.mediaDevices) throw new MicrophoneError(WORDS.Insecure);
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    if (device) audio.deviceId = { exact: device };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new MicrophoneError(WORDS[error.name] ?? `The microphone does not open: ${error.message}`);
    }
    this.close(); // another may have been opened while the browser asked
    this.stream = stream;
    this.track.enabled = !this.#muted;
    this.track.onended = () => this.onLost('The microphone was unplugged or switched off.');
    const context = new AudioContext({ latencyHint: 'interactive' });
    this.#context = context;
    try {
      await context.audioWorklet.addModule(new URL('capture-worklet.js', import.meta.url));
    } catch {
      if (this.#context === context) this.close();
      throw new MicrophoneError(WORDS.Unreachable);
    }
    if (this.#context !== context) return; // closed meanwhile
    const source = context.createMediaStreamSource(stream);
    const capture = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
    capture.port.onmessage = ({ data }) => this.onChunk?.(data);
    this.analyser = context.createAnalyser();
    source.connect(this.analyser);
    source.connect(capture);
    await context.resume();
  }

  get muted() {
    return this.#muted;
  }

  /** A muted microphone gives silence. */
  set muted(muted) {
    this.#muted = muted;
    if (this.track) this.track.enabled = !muted;
  }

  close() {
    if (this.track) {
      this.track.onended = null;
      this.track.stop();
    }
    this.#context?.close();
    this.#context = this.stream = this.analyser = null;
  }
}
