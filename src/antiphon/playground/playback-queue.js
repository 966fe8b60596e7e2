// What is played and what waits, item by item, counted in samples. It runs in the audio thread.

export class PlaybackQueue {
  #speeches = [];
  #flushed = new Set();

  /** Add samples (Float32Array) to what an item says. What comes late for an item that was flushed is dropped. */
  add(itemId, contentIndex, samples) {
    if (this.#flushed.has(itemId)) return;
    let speech = this.#speeches.find((known) => known.itemId === itemId);
    if (!speech) {
      speech = { itemId, contentIndex, chunks: [], offset: 0, played: 0, ended: false };
      this.#speeches.push(speech);
    }
    speech.chunks.push(samples);
  }

  /** Take note that nothing is added to an item any more. */
  end(itemId) {
    this.#flushed.delete(itemId);
    const speech = this.#speeches.find((known) => known.itemId === itemId);
    if (speech) speech.ended = true;
  }

  /** Fill `output` with what is due, and silence where nothing is. */
  render(output) {
    let filled = 0;
    while (filled < output.length) {
      const speech = this.#speeches[0];
      if (!speech) break;
      const chunk = speech.chunks[0];
      if (!chunk) {
        if (!speech.ended) break;
        this.#speeches.shift();
        continue;
      }
      const count = Math.min(output.length - filled, chunk.length - speech.offset);
      output.set(chunk.subarray(speech.offset, speech.offset + count), filled);
      filled += count;
      speech.played += count;
      speech.offset += count;
      if (speech.offset === chunk.length) {
        speech.chunks.shift();
        speech.offset = 0;
      }
    }
    output.fill(0, filled);
  }

  /** Return the item that is being played and how many of its samples were, or null. */
  position() {
    const speech = this.#speeches[0];
    return speech ? { itemId: speech.itemId, played: speech.played } : null;
  }

  /** Fall silent. Return what was cut off: item, content index and samples played of each. */
  flush() {
    const cut = this.#speeches.filter((speech) => speech.chunks.length > 0 || !speech.ended);
    for (const speech of cut) if (!speech.ended) this.#flushed.add(speech.itemId);
    this.#speeches = [];
    return cut.map(({ itemId, contentIndex, played }) => ({ itemId, contentIndex, played }));
  }
}
