/** A finer grid where the posterior is, and all that is read from it. */
import { cellCode, highest, logPrior, logSum, measure, regions } from "./grid.js";
import { forward, logLikelihood, sigmoid } from "./network.js";

/**
 * @typedef {object} Leaf a square of the plane that is not split further
 * @property {number} side squares of its size along one side of the map
 * @property {number} key its place among them
 * @property {number} mass log of the posterior's mass within, up to log p(x)
 * @property {number} bend how much log p(x, z) bends across it
 * @property {number} plain its mass by the value in its middle
 * @property {number} parent that of the leaf it comes from
 *
 * @typedef {object} Leaves square pieces of the plane, none of them split further
 * @property {Float64Array} z1 their middles
 * @property {Float64Array} z2
 * @property {Float64Array} size
 * @property {Float64Array} log log of the posterior's mass within, up to log p(x)
 *
 * @typedef {object} Refined a posterior by a grid that is finer where it matters
 * @property {number} logPx log p(x), in nats
 * @property {number} error how far the sums of codes twice as far apart are from it
 * @property {number} edge share of the posterior in the outermost cells of the map
 * @property {Float32Array} masses (cells,), log mass of each cell of the coarse grid
 * @property {Leaves} leaves all that hold any mass to speak of
 * @property {number[]} peak the code of highest density
 * @property {number[]} levels log density at the edge of the 50, 90 and 99 % regions
 * @property {Float32Array} mean (pixels,), posterior mean of y
 * @property {Float32Array[]} draws y of codes drawn from the posterior
 */

/**
 * The four leaves that one splits into, on a lattice with twice as many squares a side.
 * @param {number} key
 * @param {number} side
 */
export function quarters(key, side) {
  const first = 4 * side * Math.floor(key / side) + 2 * (key % side);
  return [first, first + 1, first + 2 * side, first + 2 * side + 1];
}

/**
 * For each share of the mass, the piece at which the sum over the pieces reaches it.
 * @param {ArrayLike<number>} logs
 * @param {number[]} shares
 */
export function pick(logs, shares) {
  const total = logSum(logs);
  const sums = new Float64Array(logs.length);
  let sum = 0;
  for (let k = 0; k < logs.length; k++) {
    sum += Math.exp(logs[k] - total);
    sums[k] = sum;
  }
  return shares.map((share) => {
    const k = sums.findIndex((value) => value >= share * sum);
    return k < 0 ? logs.length - 1 : k;
  });
}

/**
 * The same numbers in (0, 1) each time.
 * @param {number} n
 */
export function fixedDraws(n) {
  let seed = 20131220;
  return Array.from({ length: n }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  });
}

/**
 * Splits the leaves that hold the posterior until log p(x, z) is smooth from leaf to
 * leaf, or as far as the budget of codes reaches. The more it bends across a leaf, the
 * less is known of its mass, so leaves of less mass are split, too. Returns what is left.
 * @param {Float32Array} logs log p(x, z) on the coarse grid
 * @param {number} side
 * @param {(z: number[]) => number} logJoint
 * @param {() => Promise<boolean>} pause awaited now and then; says whether to go on
 * @returns {Promise<Leaf[] | null>}
 */
export async function splitLeaves(logs, side, logJoint, pause, budget = 8000) {
  let spent = 0;
  /** @type {Map<number, import("./grid.js").Lattice>} */
  const lattices = new Map([[side, { side, at: (key) => logs[key] }]]);
  const finer = (/** @type {number} */ across) => {
    /** @type {Map<number, number>} */
    const values = new Map();
    const at = (/** @type {number} */ key) => {
      let value = values.get(key);
      if (value === undefined) {
        value = logJoint(cellCode(key, across));
        values.set(key, value);
        spent++;
      }
      return value;
    };
    lattices.set(across, { side: across, at });
  };
  const leaf = (/** @type {number} */ across, /** @type {number} */ key) => {
    if (!lattices.has(across)) finer(across);
    const lattice = /** @type {import("./grid.js").Lattice} */ (lattices.get(across));
    return { side: across, key, parent: 0, ...measure(lattice, key) };
  };

  const top = highest(logs);
  const high = [...logs.keys()].filter((key) => logs[key] > top - 100);
  let leaves = high.map((key) => leaf(side, key));
  for (;;) {
    const most = highest(leaves.map(({ mass }) => mass));
    const rough = leaves.filter(
      ({ mass, bend }) => bend > 0.25 && mass + Math.min(bend / 4, 20) > most - 12,
    );
    if (!rough.length || spent > budget) return leaves;
    rough.sort((a, b) => b.mass - a.mass);
    const split = new Set(rough.slice(0, Math.max(1, (budget - spent) / 4)));
    const next = leaves.filter((old) => !split.has(old));
    let count = 0;
    for (const old of split) {
      for (const key of quarters(old.key, old.side))
        next.push({ ...leaf(2 * old.side, key), parent: old.plain });
      if (++count % 24 === 0 && !(await pause())) return null;
    }
    leaves = next;
  }
}

/**
 * The log sum by codes twice as far apart: four leaves of one parent count as the parent,
 * and of the coarse cells every second one counts for its neighbours, too; which ones,
 * can be chosen in four ways.
 * @param {Leaf[]} leaves
 * @param {number} side of the coarse grid
 */
export function coarserSums(leaves, side) {
  /** @type {Map<string, Leaf[]>} */
  const families = new Map();
  /** @type {number[]} */
  const fine = [];
  /** @type {number[][]} */
  const coarse = [[], [], [], []];
  for (const leaf of leaves) {
    const [row, column] = [Math.floor(leaf.key / leaf.side), leaf.key % leaf.side];
    if (leaf.side === side)
      coarse[2 * (row % 2) + (column % 2)].push(leaf.mass + Math.log(4));
    else {
      const name = `${leaf.side} ${row >> 1} ${column >> 1}`;
      families.set(name, [...(families.get(name) ?? []), leaf]);
    }
  }
  for (const family of families.values())
    if (family.length === 4) fine.push(family[0].parent);
    else fine.push(...family.map(({ mass }) => mass));
  return coarse.map((part) => logSum([...fine, ...part]));
}

/**
 * @param {import("./network.js").Network} decoder
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} known
 * @param {Float32Array} logs log p(x, z) on the coarse grid
 * @param {() => Promise<boolean>} pause
 * @returns {Promise<Refined | null>}
 */
export async function refine(decoder, x, known, logs, pause) {
  const side = Math.round(Math.sqrt(logs.length));
  const logJoint = (/** @type {number[]} */ z) =>
    logLikelihood(x, forward(decoder, z), known) + logPrior(z);
  const found = await splitLeaves(logs, side, logJoint, pause);
  if (!found) return null;

  const masses = new Float32Array(logs.length).fill(Number.NEGATIVE_INFINITY);
  for (const leaf of found) {
    const [row, column] = [Math.floor(leaf.key / leaf.side), leaf.key % leaf.side];
    const each = leaf.side / side;
    const cell = Math.floor(row / each) * side + Math.floor(column / each);
    masses[cell] = logSum([masses[cell], leaf.mass]);
  }
  const logPx = logSum(found.map(({ mass }) => mass));
  const error = Math.max(
    ...coarserSums(found, side).map((sum) => Math.abs(sum - logPx)),
  );
  let edge = 0;
  masses.forEach((log, k) => {
    const [row, column] = [Math.floor(k / side), k % side];
    if (row % (side - 1) === 0 || column % (side - 1) === 0)
      edge += Math.exp(log - logPx);
  });

  const kept = found.filter(({ mass }) => mass > logPx - 16);
  const z1 = Float64Array.from(kept, (leaf) => cellCode(leaf.key, leaf.side)[0]);
  const z2 = Float64Array.from(kept, (leaf) => cellCode(leaf.key, leaf.side)[1]);
  const size = Float64Array.from(kept, (leaf) => 8 / leaf.side);
  const log = Float64Array.from(kept, ({ mass }) => mass);
  const areas = size.map((s) => 2 * Math.log(s));
  const decode = (/** @type {number} */ k) =>
    forward(decoder, [z1[k], z2[k]]).map(sigmoid);

  const even = Array.from({ length: 400 }, (_, k) => (k + 0.5) / 400);
  const mean = new Float32Array(x.length);
  const picked = pick(log, even);
  for (let r = 0, from = 0; r < picked.length; r++) {
    if (picked[r] === picked[r + 1]) continue; // one decoding for equal codes
    const weight = (r + 1 - from) / picked.length;
    decode(picked[r]).forEach((y, i) => {
      mean[i] += weight * y;
    });
    from = r + 1;
    if (r % 128 === 127 && !(await pause())) return null;
  }
  const densities = log.map((mass, k) => mass - areas[k]);
  const peak = densities.indexOf(highest(densities));
  return {
    logPx,
    error,
    edge,
    masses,
    leaves: { z1, z2, size, log },
    peak: [z1[peak], z2[peak]],
    levels: regions(log, [0.5, 0.9, 0.99], areas),
    mean,
    draws: pick(log, fixedDraws(4)).map(decode),
  };
}
