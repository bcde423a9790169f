import assert from "node:assert/strict";
import { test } from "node:test";
import { divergence, elbo, encode, normalPoints } from "../bound.js";
import { forward, logLikelihood, sigmoid, softplus } from "../network.js";
import { bytes, fixed, fromHalf, pair, percentages, unpack } from "../numbers.js";
import { decoder, encoder, expected, near } from "./tools.js";

test("float16 is read: zero, one, negative, smallest, largest", () => {
  const values = [0, 0x3c00, 0xc000, 0x0001, 0x7bff].map(fromHalf);
  assert.deepEqual(values, [0, 1, -2, 2 ** -24, 65504]);
});

test("base64 is read byte by byte", () => {
  assert.deepEqual([...bytes("AAH/")], [0, 1, 255]);
});

test("packed numbers come back", async () => {
  assert.deepEqual([...(await unpack(expected.packed))], expected.numbers);
});

test("numbers are written with a true minus sign", () => {
  assert.equal(fixed(-1.234), "−1.23");
  assert.equal(pair([0.5, -2]), "(0.50, −2.00)");
});

test("shares are named from the largest on, and never as certain", () => {
  const names = ["a", "b", "c"];
  assert.equal(percentages([0.1, 0.86, 0.04], names), "b: 86 %, a: 10 %");
  assert.equal(percentages([0.001, 0.999, 0], names), "b: over 99 %");
});

test("softplus is log(1 + exp) and does not overflow", () => {
  near(softplus(0), Math.log(2), 1e-12);
  near(softplus(-3), Math.log1p(Math.exp(-3)), 1e-12);
  assert.equal(softplus(1000), 1000);
});

test("the decoder's pixels are TensorFlow's", () => {
  expected.codes.forEach((z, k) => {
    const y = forward(decoder, z).map(sigmoid);
    for (const [i, v] of y.entries()) near(v, expected.pixels[k][i], 1e-4);
  });
});

test("the encoder's answer is TensorFlow's", () => {
  expected.images.forEach((x, k) => {
    const q = encode(encoder, x);
    for (const j of [0, 1]) {
      near(q.mu[j], expected.mu[k][j], 1e-3);
      near(q.sigma[j], expected.sigma[k][j], 1e-3);
    }
  });
});

test("log p(x|z) is TensorFlow's, and a sum over known pixels", () => {
  expected.images.forEach((x, k) => {
    const logits = forward(decoder, expected.codes[k]);
    near(logLikelihood(x, logits), expected.logPxz[k], 1e-3);
    const left = Uint8Array.from(x, (_, i) => Number(i < 5));
    const right = left.map((v) => 1 - v);
    const parts = [left, right].map((known) => logLikelihood(x, logits, known));
    near(parts[0] + parts[1], expected.logPxz[k], 1e-3);
  });
});

test("the KL is zero for the prior and known for another Gaussian", () => {
  assert.equal(divergence({ mu: [0, 0], sigma: [1, 1] }), 0);
  const value = divergence({ mu: [1, 0], sigma: [1, Math.E] });
  near(value, 0.5 + (Math.E ** 2 - 3) / 2, 1e-12);
});

test("the normal points have mean 0, variance 1 and no correlation", () => {
  const points = normalPoints(400);
  assert.equal(points.length, 400);
  const mean = (f) => points.reduce((sum, p) => sum + f(p), 0) / points.length;
  const moments = [(p) => p[0], (p) => p[1], (p) => p[0] ** 2, (p) => p[1] ** 2];
  const found = [...moments, (p) => p[0] * p[1]].map(mean);
  for (const [k, value] of found.entries()) near(value, [0, 0, 1, 1, 0][k], 0.03);
});

test("the bound is that of many draws by TensorFlow", () => {
  expected.images.forEach((x, k) => {
    near(elbo(decoder, x, encode(encoder, x)), expected.elbo[k], 0.05);
  });
});
