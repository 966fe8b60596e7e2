// What the programs of this folder share: the command line, and reports on standard output.

import { readFileSync, writeSync } from 'node:fs';

const [url, speechFile, scenarioName] = process.argv.slice(2);
const TIMEOUT_MS = 40_000; // a bound for a hung scenario, far above what a slow machine needs

/** Print a report. */
export function report(kind, fields = {}) {
  writeSync(1, JSON.stringify({ report: kind, ...fields }) + '\n');
}

/** Return the speech, 20 ms of PCM16 at 24 kHz in each buffer. */
export function speech() {
  const pcm = readFileSync(speechFile);
  const pieces = [];
  for (let start = 0; start < pcm.length; start += 960) pieces.push(pcm.subarray(start, start + 960));
  return pieces;
}

/** Keeps everything in order, and lets a scenario wait for it. */
export class Log {
  entries = [];
  #waiting = new Set();

  add(entry) {
    this.entries.push(entry);
    for (const check of this.#waiting) check();
  }

  /** Return the entries for which `holds`, once there are `count`. */
  until(holds, count = 1) {
    return new Promise((resolve) => {
      const check = () => {
        const found = this.entries.filter(holds);
        if (found.length < count) return;
        this.#waiting.delete(check);
        resolve(found);
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Return the entries of a type, once there are `count`. */
  type(type, count = 1) {
    return this.until((entry) => entry.type === type, count);
  }
}

/** Play the scenario that the command line names against the URL that it names. */
export async function main(scenarios) {
  const hung = setTimeout(() => {
    console.error(`${scenarioName} hangs`);
    process.exit(1);
  }, TIMEOUT_MS);
  try {
    await scenarios[scenarioName](url);
    clearTimeout(hung);
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}
