/** Which class a place of the plane belongs to: the test codes around it vote. */

/**
 * For each cell of the grid, the share of each class: the classes of the codes around
 * it, weighted by a Gaussian of this width. Where there are none, the classes' shares of
 * all codes.
 * @param {Float32Array} codes (n, 2)
 * @param {number[]} index class of each code
 * @param {number} classes
 * @param {number} side
 * @returns {Float32Array[]} of each class (side²,)
 */
export function classShares(codes, index, classes, side, width = 0.08) {
  const step = 8 / side;
  const reach = Math.ceil((3 * width) / step);
  const kernel = Float32Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-(((k - reach) * step) ** 2) / (2 * width ** 2)),
  );
  const few = 0.01;
  const total = new Float32Array(side * side).fill(few);
  const votes = Array.from({ length: classes }, () => new Float32Array(side * side));
  index.forEach((k, i) => {
    const column = Math.floor((codes[2 * i] + 4) / step);
    const row = Math.floor((codes[2 * i + 1] + 4) / step);
    if (column >= 0 && column < side && row >= 0 && row < side)
      votes[k][row * side + column]++;
  });
  return votes
    .map((counts, k) => {
      const blurred = blur(blur(counts, side, kernel, 1), side, kernel, side);
      const share = index.filter((c) => c === k).length / index.length;
      for (let c = 0; c < blurred.length; c++) {
        total[c] += blurred[c];
        blurred[c] += few * share;
      }
      return blurred;
    })
    .map((blurred) => blurred.map((value, c) => value / total[c]));
}

/**
 * Along rows (stride 1) or columns (stride `side`).
 * @param {Float32Array} field
 * @param {number} side
 * @param {Float32Array} kernel
 * @param {number} stride
 */
function blur(field, side, kernel, stride) {
  const reach = (kernel.length - 1) / 2;
  const out = new Float32Array(field.length);
  field.forEach((value, c) => {
    if (!value) return;
    const at = Math.floor(c / stride) % side;
    for (let k = -reach; k <= reach; k++)
      if (at + k >= 0 && at + k < side)
        out[c + k * stride] += value * kernel[k + reach];
  });
  return out;
}

/**
 * Class probabilities of a posterior.
 * @param {Float32Array[]} shares
 * @param {Float32Array} masses log mass of each cell
 * @param {number} total log mass of all
 */
export function classProbabilities(shares, masses, total) {
  const weights = masses.map((log) => Math.exp(log - total));
  return shares.map((share) => share.reduce((sum, s, c) => sum + s * weights[c], 0));
}
