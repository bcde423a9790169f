/** The encoder's q(z|x), and the bound of an image (Eq. 2 and 3 of the paper). */
import { forward, logLikelihood } from "./network.js";

/** @typedef {{mu: number[], sigma: number[]}} Gaussian */

/**
 * @param {import("./network.js").Network} encoder
 * @param {ArrayLike<number>} x
 * @returns {Gaussian}
 */
export function encode(encoder, x) {
  const [mu1, mu2, logvar1, logvar2] = forward(encoder, x);
  return { mu: [mu1, mu2], sigma: [Math.exp(logvar1 / 2), Math.exp(logvar2 / 2)] };
}

/**
 * KL of q from the prior N(0, I), closed form (App. B).
 * @param {Gaussian} q
 */
export function divergence({ mu, sigma }) {
  let sum = 0;
  for (const j of [0, 1])
    sum += (mu[j] ** 2 + sigma[j] ** 2 - 1) / 2 - Math.log(sigma[j]);
  return sum;
}

/**
 * Standard normal points (n, 2), n even, the same ones each time and in opposite pairs:
 * a low-discrepancy sequence by the transform of Box and Muller.
 * @param {number} n
 */
export function normalPoints(n) {
  const points = [];
  for (let k = 1; k <= n / 2; k++) {
    const radius = Math.sqrt(-2 * Math.log((k * 0.7548776662466927 + 0.5) % 1));
    const angle = 2 * Math.PI * ((k * 0.5698402909980532 + 0.5) % 1);
    const z = [radius * Math.cos(angle), radius * Math.sin(angle)];
    points.push(z, [-z[0], -z[1]]);
  }
  return points;
}

/**
 * The bound: mean of log p(x|z) over q, by `n` points of q, minus the KL.
 * @param {import("./network.js").Network} decoder
 * @param {ArrayLike<number>} x
 * @param {Gaussian} q
 */
export function elbo(decoder, x, q, n = 1000) {
  let sum = 0;
  for (const eps of normalPoints(n)) {
    const z = eps.map((e, j) => q.mu[j] + q.sigma[j] * e);
    sum += logLikelihood(x, forward(decoder, z));
  }
  return sum / n - divergence(q);
}
