// A session over WebRTC: audio flows both ways as media, events over a data channel. The server keeps the playout clock,
// so it knows itself what was heard when somebody interrupts.

const OPEN_MS = 15_000;
const PATIENCE_MS = 5_000; // a connection that is "disconnected" often comes back by itself

export class WebRtcTransport {
  #peer = null;
  #channel = null;
  #sender = null;
  #microphone;
  #audio = new Audio();
  #context = null;
  #responding = null;
  #patience = 0;
  #sending = true;
  #on;

  outputAnalyser = null;

  /** `on` has the callbacks event, sent, closed and position. */
  constructor(microphone, on) {
    this.#microphone = microphone;
    this.#on = on;
  }

  /** Connect, and return when the session's channel is open. */
  async connect(server, { model, secret, speaker }) {
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    const streams = this.#microphone.stream ? [this.#microphone.stream] : [];
    this.#sender = peer.addTransceiver('audio', { direction: 'sendrecv', streams }).sender;
    await this.setMicrophone();
    peer.ontrack = ({ track: theirs }) => this.#play(new MediaStream([theirs]));
    await this.setSpeaker(speaker);
    const channel = peer.createDataChannel('oai-events');
    this.#channel = channel;
    channel.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    const opened = new Promise((resolve, reject) => {
      channel.onopen = resolve;
      channel.onclose = () => reject(new Error('The call ended before it was connected.'));
      peer.onconnectionstatechange = () => {
        if (peer.connectionState === 'failed') reject(new Error('No way to the server was found for audio (ICE failed).'));
      };
      setTimeout(() => reject(new Error('The call was not connected in time.')), OPEN_MS);
    });
    opened.catch(() => {}); // told below, unless the offer fails first
    await peer.setLocalDescription();
    await gathered(peer);
    const sdp = await server.call(model, secret, peer.localDescription.sdp);
    await peer.setRemoteDescription({ type: 'answer', sdp });
    await opened;
    channel.onclose = () => this.#lose('the other side hung up');
    peer.onconnectionstatechange = () => this.#watch();
  }

  send(event) {
    if (this.#channel?.readyState !== 'open') return;
    this.#channel.send(JSON.stringify(event));
    this.#on.sent(event);
  }

  get sending() {
    return this.#sending;
  }

  /** Send the microphone, or nothing. */
  set sending(sending) {
    if (sending === this.#sending) return;
    this.#sending = sending;
    this.setMicrophone();
  }

  /** Take the microphone's track as it is now. */
  async setMicrophone() {
    await this.#sender?.replaceTrack(this.#sending ? this.#microphone.track : null);
  }

  async setSpeaker(speaker) {
    if (this.#audio.setSinkId) await this.#audio.setSinkId(speaker);
  }

  /** Stop the answer: what was not heard of it is taken back by the server. */
  async interrupt() {
    if (this.#responding) this.send({ type: 'response.cancel', response_id: this.#responding });
    this.send({ type: 'output_audio_buffer.clear' });
  }

  close() {
    clearTimeout(this.#patience);
    if (this.#channel) this.#channel.onclose = this.#channel.onmessage = null;
    if (this.#peer) this.#peer.onconnectionstatechange = null;
    this.#peer?.close();
    this.#audio.srcObject = null;
    this.#context?.close();
    this.#context = null;
  }

  #play(stream) {
    this.#audio.srcObject = stream;
    this.#audio.play();
    this.#context = new AudioContext();
    this.outputAnalyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(stream).connect(this.outputAnalyser);
  }

  #receive(event) {
    if (event.type === 'response.created') this.#responding = event.response.id;
    if (event.type === 'response.done' && this.#responding === event.response.id) this.#responding = null;
    this.#on.event(event);
  }

  #watch() {
    const { connectionState } = this.#peer;
    clearTimeout(this.#patience);
    if (connectionState === 'failed') this.#lose('the network was lost');
    if (connectionState === 'disconnected') {
      this.#patience = setTimeout(() => this.#lose('the network was lost'), PATIENCE_MS);
    }
  }

  #lose(reason) {
    this.close();
    this.#on.closed(reason);
  }
}

/** Wait until the offer holds every address: the server takes no later ones. */
async function gathered(peer) {
  if (peer.iceGatheringState === 'complete') return;
  await new Promise((resolve) => {
    peer.onicegatheringstatechange = () => {
      if (peer.iceGatheringState === 'complete') resolve();
    };
  });
}
