// How loud both sides are: two levels, and the score, on which both voices run along one line of time.

const FLOOR_DBFS = -60;
const BAR_PX = 3;
const GAP_PX = 2;
const BARS_PER_S = 15;
const CALM_MS = 250; // between pictures for people who want no motion

/** Return the level of Float32Array samples in dBFS, no less than -60. */
function levelOf(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.max(FLOOR_DBFS, Math.min(0, 10 * Math.log10(sum / samples.length + 1e-12)));
}

class Side {
  #samples = new Float32Array(2048);

  constructor(meter, analyser) {
    this.meter = meter;
    this.fill = meter.firstElementChild;
    this.analyser = analyser;
  }

  /** Return the level now, in dBFS. */
  read() {
    const analyser = this.analyser();
    if (!analyser) return FLOOR_DBFS;
    analyser.getFloatTimeDomainData(this.#samples);
    return levelOf(this.#samples);
  }

  show(level) {
    const share = 1 - level / FLOOR_DBFS;
    this.fill.style.transform = `scaleY(${share.toFixed(3)})`;
    const shown = String(Math.round(level));
    if (this.meter.getAttribute('aria-valuenow') !== shown) this.meter.setAttribute('aria-valuenow', shown);
  }
}

export class Meters {
  #canvas;
  #you;
  #it;
  #bars = []; // [your level, its level, was it cut here]
  #lastBar = 0;
  #peaks = [FLOOR_DBFS, FLOOR_DBFS]; // since the last bar
  #cut = false;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');
  #lastPicture = 0;

  /** `analysers` returns the AnalyserNode of each side, or null: `{ you, it }`. */
  constructor(canvas, you, it, analysers) {
    this.#canvas = canvas;
    this.#you = new Side(you, analysers.you);
    this.#it = new Side(it, analysers.it);
    requestAnimationFrame((now) => this.#frame(now));
  }

  /** Mark that the answer was cut off now. */
  markCut() {
    this.#cut = true;
  }

  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    if (this.#calm.matches && now - this.#lastPicture < CALM_MS) return;
    this.#lastPicture = now;
    const levels = [this.#you.read(), this.#it.read()];
    this.#you.show(levels[0]);
    this.#it.show(levels[1]);
    this.#peaks = levels.map((level, side) => Math.max(level, this.#peaks[side]));
    if (now - this.#lastBar < 1000 / BARS_PER_S) return;
    this.#lastBar = now;
    this.#bars.push([...this.#peaks, this.#cut]);
    this.#peaks = [FLOOR_DBFS, FLOOR_DBFS];
    this.#cut = false;
    this.#draw();
  }

  #draw() {
    const scale = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width) return;
    const pixels = Math.round(width * scale);
    if (this.#canvas.width !== pixels) {
      this.#canvas.width = pixels;
      this.#canvas.height = Math.round(height * scale);
    }
    const pen = this.#canvas.getContext('2d');
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const fit = Math.ceil(width / (BAR_PX + GAP_PX));
    this.#bars.splice(0, this.#bars.length - fit);
    while (this.#bars.length < fit) this.#bars.unshift([FLOOR_DBFS, FLOOR_DBFS, false]);
    const colours = [this.#you, this.#it].map((side) => getComputedStyle(side.fill).backgroundColor);
    const middle = height / 2;
    const reach = middle - 3;
    this.#bars.forEach(([you, it, cut], index) => {
      const x = width - (this.#bars.length - index) * (BAR_PX + GAP_PX);
      [you, it].forEach((level, side) => {
        const size = Math.max(1.5, reach * (1 - level / FLOOR_DBFS) ** 1.6);
        pen.fillStyle = colours[side];
        pen.globalAlpha = size > 2 ? 1 : 0.28;
        pen.beginPath();
        pen.roundRect(x, side === 0 ? middle - 1.5 - size : middle + 1.5, BAR_PX, size, 1.5);
        pen.fill();
      });
      if (cut) {
        pen.globalAlpha = 0.9;
        pen.fillStyle = colours[0];
        pen.fillRect(x + BAR_PX / 2 - 0.5, 0, 1, height);
      }
    });
  }
}
