// Asks for an API key where the server wants one.

export class KeyDialog {
  #server;
  #dialog = document.getElementById('key-dialog');
  #key = document.getElementById('key');
  #problem = document.getElementById('key-problem');

  constructor(server) {
    this.#server = server;
  }

  /** Ask until the server takes the key, and return what `attempt` gives with it; null when nobody answers. */
  async ask(attempt) {
    this.#problem.textContent = this.#server.hasKey ? 'The server did not take the key.' : '';
    for (;;) {
      const given = await this.#answer();
      if (!given) return null;
      this.#server.setKey(given, document.getElementById('key-remember').checked);
      try {
        return await attempt();
      } catch (error) {
        this.#server.setKey('', false);
        this.#problem.textContent = error.message;
      }
    }
  }

  async #answer() {
    this.#key.value = '';
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    await new Promise((resolve) => this.#dialog.addEventListener('close', resolve, { once: true }));
    return this.#dialog.returnValue === 'use' ? this.#key.value.trim() : '';
  }
}
