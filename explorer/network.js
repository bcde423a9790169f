/**
 * The networks: all there is to an encoder and a decoder.
 *
 * @typedef {{n: number, m: number, kernel: Float32Array, bias: Float32Array}} Layer
 * @typedef {{layers: Layer[], norm: boolean}} Network
 */

/**
 * @param {number[]} widths
 * @param {boolean} norm
 * @param {Float32Array} numbers
 * @returns {Network}
 */
export function network(widths, norm, numbers) {
  const layers = [];
  let at = 0;
  for (let k = 1; k < widths.length; k++) {
    const [n, m] = [widths[k - 1], widths[k]];
    const kernel = numbers.subarray(at, at + n * m);
    const bias = numbers.subarray(at + n * m, at + n * m + m);
    layers.push({ n, m, kernel, bias });
    at += n * m + m;
  }
  return { layers, norm };
}

/**
 * The outputs for one input: one matrix-vector product per layer.
 * @param {Network} net
 * @param {ArrayLike<number>} input
 */
export function forward({ layers, norm }, input) {
  let h = Float32Array.from(input);
  layers.forEach(({ n, m, kernel, bias }, k) => {
    const a = new Float32Array(m);
    for (let i = 0; i < n; i++) {
      const unit = h[i];
      if (unit === 0) continue; // an unlit pixel, a unit that is off
      for (let j = 0, at = i * m; j < m; j++) a[j] += unit * kernel[at + j];
    }
    const hidden = k < layers.length - 1;
    if (norm && hidden) standardise(a);
    for (let j = 0; j < m; j++) a[j] += bias[j];
    if (hidden) for (let j = 0; j < m; j++) a[j] = Math.max(a[j], 0);
    h = a;
  });
  return h;
}

/**
 * Layer normalisation, as Keras does it: to mean 0 and variance 1.
 * @param {Float32Array} a
 */
export function standardise(a) {
  let mean = 0;
  let square = 0;
  for (const v of a) mean += v / a.length;
  for (const v of a) square += (v - mean) ** 2 / a.length;
  const scale = 1 / Math.sqrt(square + 1e-3);
  for (let j = 0; j < a.length; j++) a[j] = (a[j] - mean) * scale;
}

/** @param {number} a */
export function sigmoid(a) {
  return 1 / (1 + Math.exp(-a));
}

/**
 * log(1 + exp(a)), for any a.
 * @param {number} a
 */
export function softplus(a) {
  return Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
}

/**
 * log p(x|z) in nats, Eq. 11 of the paper, from the decoder's logits. Pixels that are
 * not known leave the sum.
 * @param {ArrayLike<number>} x
 * @param {Float32Array} logits
 * @param {ArrayLike<number> | null} [known]
 */
export function logLikelihood(x, logits, known) {
  let sum = 0;
  for (let i = 0; i < logits.length; i++)
    if (!known || known[i]) sum += x[i] * logits[i] - softplus(logits[i]);
  return sum;
}
