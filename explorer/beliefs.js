/** What each model believes about the image: at once on its grid, then refined. */
import { encode } from "./bound.js";
import { height, width } from "./data.js";
import { cellMasses, logSum, scorer } from "./grid.js";
import { models } from "./models.js";
import { on, state, tell } from "./state.js";
import { startWorker } from "./worker.js";

/**
 * @typedef {object} Belief
 * @property {import("./state.js").Observed} image
 * @property {import("./bound.js").Gaussian | null} q of the encoder, for whole images
 * @property {Float32Array | null} masses log mass of each cell, once there is a grid
 * @property {number} logPx
 * @property {import("./refine.js").Refined | null} refined
 * @property {number | null} bound
 */

/** @type {(Belief | null)[]} */
export const beliefs = models.map(() => null);

/** The belief of the model on show, if it is about the image on show. */
export function belief() {
  const found = beliefs[state.model];
  return found?.image === state.image ? found : null;
}

/** How much of each model's grid is decoded, 0 to 1. */
export const progress = models.map(() => 0);

/** Codes along one side of the grid: fewer for large images, to spare memory. */
export const side = Math.max(
  64,
  Math.min(128, Math.floor(Math.sqrt(2 ** 25 / (height * width)))),
);

/** @type {ReturnType<typeof scorer>[]} */
const scorers = [];
const worker = startWorker();
let latest = 0;

/** Milliseconds that the last look at an image took. */
export const took = { look: 0 };

/**
 * Looks at the image with model k.
 * @param {number} k
 */
function look(k) {
  const { image } = state;
  if (!image) return;
  const started = performance.now();
  const q = image.whole ? encode(models[k].encoder, image.x) : null;
  /** @type {Belief} */
  const found = { image, q, masses: null, logPx: 0, refined: null, bound: null };
  if (scorers[k]) {
    const logs = scorers[k](image.x, image.known);
    found.masses = cellMasses(logs);
    found.logPx = logSum(found.masses);
    latest++;
    const { x, known } = image;
    worker?.postMessage({ kind: "refine", model: k, id: latest, x, known, logs, q });
  }
  beliefs[k] = found;
  if (k === state.model) tell("belief");
  took.look = performance.now() - started;
}

/** @param {MessageEvent<import("./worker.js").FromWorker>} event */
function receive({ data }) {
  const { model: k } = data;
  if (data.kind === "progress") {
    progress[k] = data.share;
    tell("progress");
  } else if (data.kind === "table") {
    scorers[k] = scorer(data.table);
    progress[k] = 1;
    tell("progress");
    if (k === state.model || belief()?.refined) look(k);
  } else {
    const found = beliefs[k];
    if (!found || data.id !== latest || found.image !== state.image) return;
    Object.assign(found, {
      refined: data.refined,
      bound: data.bound,
      masses: data.refined.masses,
      logPx: data.refined.logPx,
    });
    tell("belief");
    const done = (/** @type {number} */ j) =>
      beliefs[j]?.image === state.image && beliefs[j].refined;
    const next = models.findIndex((_, j) => scorers[j] && !done(j));
    if (next >= 0) look(next);
  }
}

function fail() {
  progress.fill(Number.NaN);
  tell("progress");
}

export function startBeliefs() {
  on("image", () => (state.image ? look(state.model) : tell("belief")));
  on("model", () => (belief()?.refined ? tell("belief") : look(state.model)));
  if (!worker) return fail();
  worker.onmessage = receive;
  worker.onerror = fail;
  models.forEach(({ decoder }, k) => {
    worker.postMessage({ kind: "decode", model: k, side, decoder });
  });
}
