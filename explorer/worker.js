/**
 * The heavy work, beside the page. The worker's script is the text of the functions that
 * it needs, so it lives in the same file as everything else.
 */
import { divergence, elbo, normalPoints } from "./bound.js";
import {
  cellCode,
  decodeGrid,
  highest,
  logPrior,
  logSum,
  measure,
  quadratic,
  regions,
} from "./grid.js";
import { forward, logLikelihood, sigmoid, softplus, standardise } from "./network.js";
import {
  coarserSums,
  fixedDraws,
  pick,
  quarters,
  refine,
  splitLeaves,
} from "./refine.js";

/**
 * @typedef {{kind: "decode", model: number, side: number,
 *   decoder: import("./network.js").Network}} DecodeJob
 * @typedef {{kind: "refine", model: number, id: number, x: Float32Array,
 *   known: Uint8Array, logs: Float32Array,
 *   q: import("./bound.js").Gaussian | null}} RefineJob
 * @typedef {{kind: "progress", model: number, share: number}} Progress
 * @typedef {{kind: "table", model: number, table: import("./grid.js").Table}} Decoded
 * @typedef {{kind: "refined", model: number, id: number, bound: number | null,
 *   refined: import("./refine.js").Refined}} Answer
 * @typedef {Progress | Decoded | Answer} FromWorker
 */

/** What the worker does: decodes one grid after the other, refines the latest image. */
export function serve() {
  /** @type {import("./network.js").Network[]} */
  const decoders = [];
  let latest = 0;
  let queue = Promise.resolve();
  const { port1, port2 } = new MessageChannel();
  /** @type {(() => void)[]} */
  const waiting = [];
  port1.onmessage = () => waiting.shift()?.();
  /** Lets messages in. */
  const breathe = () =>
    new Promise((resolve) => {
      waiting.push(() => resolve(undefined));
      port2.postMessage(0);
    });

  /** @param {DecodeJob} job */
  async function decode({ model, side, decoder }) {
    const table = await decodeGrid(decoder, side, async (row) => {
      if (row % 4 === 0) postMessage({ kind: "progress", model, share: row / side });
      await breathe();
    });
    const buffers = [table.logits.buffer, table.blank.buffer];
    postMessage({ kind: "table", model, table }, { transfer: buffers });
  }

  /** @param {RefineJob} job */
  async function answer({ model, id, x, known, logs, q }) {
    latest = id;
    const pause = async () => {
      await breathe();
      return latest === id;
    };
    const refined = await refine(decoders[model], x, known, logs, pause);
    if (!refined || !(await pause())) return;
    const bound = q && elbo(decoders[model], x, q);
    postMessage({ kind: "refined", model, id, bound, refined });
  }

  self.onmessage = (/** @type {MessageEvent<DecodeJob | RefineJob>} */ { data }) => {
    if (data.kind === "refine") answer(data);
    else {
      decoders[data.model] = data.decoder;
      queue = queue.then(() => decode(data));
    }
  };
}

export const workerScript = [
  ...[forward, standardise, sigmoid, softplus, logLikelihood],
  ...[divergence, normalPoints, elbo],
  ...[cellCode, logPrior, decodeGrid, highest, logSum, quadratic, measure, regions],
  ...[quarters, splitLeaves, coarserSums, fixedDraws, pick, refine, serve],
]
  .map(String)
  .concat("serve();")
  .join("\n");

/** Null where the browser does not let a page start one. */
export function startWorker() {
  const script = new Blob([workerScript], { type: "text/javascript" });
  try {
    return new Worker(URL.createObjectURL(script));
  } catch {
    return null;
  }
}
