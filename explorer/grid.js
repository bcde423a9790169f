/**
 * The exact posterior on a grid: side×side codes over (-4, 4)², decoded once per model.
 * Code k of the grid is in row floor(k / side), from z₂ = -4 upwards, and column
 * k mod side, from z₁ = -4.
 */
import { forward, softplus } from "./network.js";

/**
 * @typedef {object} Table what the decoder says at each code of the grid
 * @property {number} side
 * @property {Int16Array} logits (pixels, codes), in units of 1/512, at most 64 in size
 * @property {Float32Array} blank (codes,), log p(blank image, z) of the exact logits
 */

/**
 * The code in the middle of cell k of a grid over (-4, 4)².
 * @param {number} k
 * @param {number} side
 */
export function cellCode(k, side) {
  const step = 8 / side;
  return [((k % side) + 0.5) * step - 4, (Math.floor(k / side) + 0.5) * step - 4];
}

/**
 * log p(z) of the standard normal prior.
 * @param {ArrayLike<number>} z
 */
export function logPrior(z) {
  return -(z[0] ** 2 + z[1] ** 2) / 2 - Math.log(2 * Math.PI);
}

/**
 * Decodes the grid, row by row; `pause` is awaited after each row with its number.
 * @param {import("./network.js").Network} decoder
 * @param {number} side
 * @param {(row: number) => Promise<void>} pause
 * @returns {Promise<Table>}
 */
export async function decodeGrid(decoder, side, pause) {
  const pixels = decoder.layers[decoder.layers.length - 1].m;
  const logits = new Int16Array(pixels * side * side);
  const blank = new Float32Array(side * side);
  for (let row = 0; row < side; row++) {
    const decoded = [];
    for (let k = row * side; k < (row + 1) * side; k++) {
      const z = cellCode(k, side);
      const a = forward(decoder, z);
      blank[k] = logPrior(z);
      for (const value of a) blank[k] -= softplus(value);
      decoded.push(a);
    }
    for (let i = 0; i < pixels; i++)
      for (let j = 0, at = (i * side + row) * side; j < side; j++)
        logits[at + j] = Math.max(-32767, Math.min(32767, 512 * decoded[j][i]));
    await pause(row + 1);
  }
  return { side, logits, blank };
}

/**
 * A function that gives log p(x, z) at each code of the table, for any image x (pixels,)
 * of zeros and ones: the logits of its lit pixels, summed, and the blank image's term.
 * Pixels that are not known leave the sum; what they take from the blank image's term is
 * kept from call to call, for a brush changes few of them at a time.
 * @param {Table} table
 */
export function scorer({ side, logits, blank }) {
  const codes = side * side;
  const pixels = logits.length / codes;
  const byLogit = Float32Array.from({ length: 65536 }, (_, k) =>
    softplus((k - 32768) / 512),
  );
  const hidden = new Uint8Array(pixels);
  const base = Float64Array.from(blank);

  /** @param {ArrayLike<number>} known */
  function hide(known) {
    for (let i = 0; i < pixels; i++) {
      if (hidden[i] === 1 - known[i]) continue;
      hidden[i] = 1 - known[i];
      const sign = hidden[i] ? 1 : -1;
      for (let k = 0, at = i * codes; k < codes; k++)
        base[k] += sign * byLogit[logits[at + k] + 32768];
    }
  }

  /**
   * @param {ArrayLike<number>} x
   * @param {ArrayLike<number>} known
   */
  return (x, known) => {
    hide(known);
    const lit = new Int32Array(codes);
    for (let i = 0; i < pixels; i++) {
      if (!x[i] || !known[i]) continue;
      const row = logits.subarray(i * codes, (i + 1) * codes);
      for (let k = 0; k < codes; k++) lit[k] += row[k];
    }
    return Float32Array.from(lit, (sum, k) => base[k] + sum / 512);
  };
}

/** @param {ArrayLike<number>} values */
export function highest(values) {
  let top = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < values.length; k++) top = Math.max(top, values[k]);
  return top;
}

/**
 * log of a sum of exponentials.
 * @param {ArrayLike<number>} logs
 */
export function logSum(logs) {
  const top = highest(logs);
  if (top === Number.NEGATIVE_INFINITY) return top;
  let sum = 0;
  for (let k = 0; k < logs.length; k++) sum += Math.exp(logs[k] - top);
  return top + Math.log(sum);
}

/**
 * log of the mean of exp over a cell, less the value in its middle, for the quadratic
 * through that value, the four beside it and the twist between its corners.
 * @param {number} middle
 * @param {number} left
 * @param {number} right
 * @param {number} below
 * @param {number} above
 * @param {number} twist
 */
export function quadratic(middle, left, right, below, above, twist) {
  const [slope1, slope2] = [(right - left) / 2, (above - below) / 2];
  const bend1 = (left - 2 * middle + right) / 2;
  const bend2 = (below - 2 * middle + above) / 2;
  const n = 6;
  const rises = new Float64Array(n * n);
  for (let k = 0; k < n * n; k++) {
    const [s, t] = [((k % n) + 0.5) / n - 0.5, (Math.floor(k / n) + 0.5) / n - 0.5];
    rises[k] = s * (slope1 + s * bend1 + t * twist) + t * (slope2 + t * bend2);
  }
  return logSum(rises) - Math.log(n * n);
}

/**
 * @typedef {object} Lattice codes in the middles of side×side squares over (-4, 4)²
 * @property {number} side
 * @property {(key: number) => number | undefined} at log p(x, z), where it is known, of
 *   the code in row floor(key / side), column key mod side
 */

/**
 * The log mass of one square, and how much log p(x, z) bends across it. A posterior may
 * be narrower than the square: a peak between the codes is seen in how they bend. The
 * plain mass knows the middle only.
 * @param {Lattice} lattice
 * @param {number} key
 */
export function measure({ side, at }, key) {
  const column = key % side;
  const value = (/** @type {number} */ right, /** @type {number} */ up) => {
    const inside = column + right >= 0 && column + right < side;
    return (inside ? at(key + right + up * side) : undefined) ?? Number.NaN;
  };
  const middle = value(0, 0);
  const plain = middle + 2 * Math.log(8 / side);
  const [left, right, below, above] = [
    ...[value(-1, 0), value(1, 0)],
    ...[value(0, -1), value(0, 1)],
  ];
  const twist = (value(1, 1) + value(-1, -1) - value(1, -1) - value(-1, 1)) / 4;
  const bends = [left - 2 * middle + right, below - 2 * middle + above];
  const bend = Math.max(...bends.map(Math.abs));
  const known = !Number.isNaN(bend + twist); // not so at the edge of the map
  const rough = known && bend >= 1;
  const rise = rough ? quadratic(middle, left, right, below, above, twist) : 0;
  return { bend: known ? bend : 0, plain, mass: plain + rise };
}

/**
 * Log masses of the cells of the coarse grid.
 * @param {Float32Array} logs log p(x, z) in the middle of each cell
 */
export function cellMasses(logs) {
  const side = Math.round(Math.sqrt(logs.length));
  const lattice = { side, at: (/** @type {number} */ key) => logs[key] };
  const top = highest(logs);
  return logs.map((f, k) =>
    f < top - 100 ? f + 2 * Math.log(8 / side) : measure(lattice, k).mass,
  );
}

/**
 * The smallest regions that hold these shares of the mass: of each, the log density at
 * its edge. A code k stands for mass exp(logs[k]), at density exp(logs[k] - areas[k]).
 * @param {ArrayLike<number>} logs
 * @param {number[]} shares rising
 * @param {ArrayLike<number>} [areas] log areas; without them all are alike
 */
export function regions(logs, shares, areas) {
  const total = logSum(logs);
  const density = (/** @type {number} */ k) => logs[k] - (areas ? areas[k] : 0);
  /** @type {number[]} */
  const order = [];
  for (let k = 0; k < logs.length; k++) if (logs[k] > total - 16) order.push(k);
  order.sort((a, b) => density(b) - density(a));
  let sum = 0;
  let at = 0;
  return shares.map((share) => {
    while (at < order.length && sum < share) sum += Math.exp(logs[order[at++]] - total);
    return density(order[Math.max(0, at - 1)]);
  });
}
