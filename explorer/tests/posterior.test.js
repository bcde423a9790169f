import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";
import {
  cellCode,
  cellMasses,
  decodeGrid,
  logPrior,
  logSum,
  regions,
  scorer,
} from "../grid.js";
import { forward, logLikelihood } from "../network.js";
import { fixedDraws, pick, quarters, refine, splitLeaves } from "../refine.js";
import { classProbabilities, classShares } from "../votes.js";
import { workerScript } from "../worker.js";
import { all, decoder, expected, near, sharp } from "./tools.js";

const side = 64;
const at = async () => {};
const table = await decodeGrid(decoder, side, at);
const narrow = await decodeGrid(sharp, 128, at);
const go = async () => true;

test("cells cover the square from the lower left", () => {
  assert.deepEqual(cellCode(0, 4), [-3, -3]);
  assert.deepEqual(cellCode(7, 4), [3, -1]);
});

test("the table's log p(x, z) is that of each code, whatever is known", () => {
  const score = scorer(table);
  const some = Uint8Array.from(all, (_, i) => Number(i % 3 > 0));
  for (const known of [all, some, all]) // the last one undoes what the second hid
    for (const x of expected.images) {
      const logs = score(x, known);
      for (const k of [0, 777, 2080, 4095]) {
        const z = cellCode(k, side);
        const exact = logLikelihood(x, forward(decoder, z), known) + logPrior(z);
        near(logs[k], exact, 0.02);
      }
    }
});

test("a log sum neither overflows nor starts from nothing", () => {
  near(logSum([1000, 1000]), 1000 + Math.log(2), 1e-9);
  assert.equal(logSum([Number.NEGATIVE_INFINITY]), Number.NEGATIVE_INFINITY);
});

test("smallest regions of a Gaussian end where they should", () => {
  const area = 2 * Math.log(8 / 128);
  const logs = Float32Array.from({ length: 128 ** 2 }, (_, k) =>
    logPrior(cellCode(k, 128)),
  );
  const masses = logs.map((log) => log + area);
  regions(masses, [0.5, 0.9, 0.99]).forEach((level, k) => {
    const outside = [0.5, 0.1, 0.01][k]; // exp(-r²/2) is what lies beyond radius r
    near(level - area, Math.log(outside / (2 * Math.PI)), 0.05);
  });
});

test("a narrow Gaussian between the codes is measured by how they bend", () => {
  const sigma = 0.02; // less than a cell of 1/16, its peak between four codes
  const logs = Float32Array.from({ length: 128 ** 2 }, (_, k) => {
    const [a, b] = cellCode(k, 128).map((v) => v - 1);
    return -(a * a + b * b + 0.5 * a * b) / (2 * sigma ** 2);
  });
  const plain = logSum(logs) + 2 * Math.log(8 / 128);
  const truth = Math.log((2 * Math.PI * sigma ** 2) / Math.sqrt(1 - 0.0625));
  assert.ok(Math.abs(plain - truth) > 0.2);
  near(logSum(cellMasses(logs)), truth, 0.1);
});

test("quarters fill their leaf", () => {
  assert.deepEqual(cellCode(9, 4), [-1, 1]);
  const codes = quarters(9, 4).map((key) => cellCode(key, 8));
  assert.deepEqual(codes, [
    [-1.5, 0.5],
    [-0.5, 0.5],
    [-1.5, 1.5],
    [-0.5, 1.5],
  ]);
});

test("leaves tile the plane where there is mass, within the budget", async () => {
  const spike = (z) => -((z[0] - 1.01) ** 2 + (z[1] + 0.3) ** 2) / (2 * 0.003 ** 2);
  const logs = Float32Array.from({ length: 4096 }, (_, k) => spike(cellCode(k, 64)));
  let count = 0;
  const counted = (z) => {
    count++;
    return spike(z);
  };
  const leaves = await splitLeaves(logs, 64, counted, go);
  assert.ok(count <= 8000);
  near(
    logSum(leaves.map(({ mass }) => mass)),
    Math.log(2 * Math.PI * 0.003 ** 2),
    1e-3,
  );
  const cells = new Map();
  for (const { key, side } of leaves) {
    const [z1, z2] = cellCode(key, side).map((v) => Math.floor((v + 4) * 8));
    cells.set(`${z1} ${z2}`, (cells.get(`${z1} ${z2}`) ?? 0) + (64 / side) ** 2);
  }
  for (const covered of cells.values()) near(covered, 1, 1e-9);
});

for (const [name, net, grid, truth] of [
  ["wide", decoder, table, expected.logPx],
  ["narrow", sharp, narrow, expected.logPxSharp],
])
  test(`log p(x) of ${name} posteriors is NumPy's on a fine grid`, async () => {
    const score = scorer(grid);
    for (const [k, x] of expected.images.entries()) {
      const found = await refine(net, x, all, score(x, all), go);
      near(found.logPx, truth[k], 0.01 + found.error);
      assert.ok(found.error < 0.1);
      near(logSum(found.masses), found.logPx, 1e-4);
      const peak = logLikelihood(x, forward(net, found.peak)) + logPrior(found.peak);
      for (const step of [-0.1, 0.1]) {
        const z = [found.peak[0] + step, found.peak[1]];
        assert.ok(logLikelihood(x, forward(net, z)) + logPrior(z) < peak);
      }
    }
  });

test("knowing nothing, the posterior is the prior", async () => {
  const [x] = expected.images;
  const none = new Uint8Array(12);
  const found = await refine(decoder, x, none, scorer(table)(x, none), go);
  near(found.logPx, 0, 0.01);
  const norms = found.levels.map((level) => -2 * (level + Math.log(2 * Math.PI)));
  [2 * Math.log(2), 2 * Math.log(10), 2 * Math.log(100)].forEach((square, k) => {
    near(norms[k], square, 0.3);
  });
});

test("a refinement stops when it is told to", async () => {
  const [x] = expected.images;
  const logs = scorer(table)(x, all);
  assert.equal(await refine(decoder, x, all, logs, async () => false), null);
});

test("codes are picked by their mass, the same ones each time", () => {
  const logs = Float32Array.from([0.1, 0.6, 0.3], Math.log);
  assert.deepEqual(pick(logs, [0.05, 0.2, 0.69, 0.71, 1]), [0, 1, 1, 2, 2]);
  assert.deepEqual(fixedDraws(4), fixedDraws(4));
  assert.ok(fixedDraws(100).every((u) => u > 0 && u < 1));
});

test("test codes around a place vote for its class", () => {
  const codes = Float32Array.from([-2, -2, 2, 2, 2.05, 2]);
  const shares = classShares(codes, [0, 1, 1], 2, 32);
  const cell = (z1, z2) => Math.floor((z2 + 4) * 4) * 32 + Math.floor((z1 + 4) * 4);
  assert.ok(shares[0][cell(-2, -2)] > 0.97);
  assert.ok(shares[1][cell(2, 2)] > 0.97);
  near(shares[0][cell(0, 0)], 1 / 3, 1e-3); // nobody near: as frequent as it is
  for (const [k, share] of shares[0].entries()) near(share + shares[1][k], 1, 1e-5);
  const masses = new Float32Array(1024).fill(Number.NEGATIVE_INFINITY);
  masses[cell(-2, -2)] = Math.log(0.75);
  masses[cell(2, 2)] = Math.log(0.25);
  near(classProbabilities(shares, masses, 0)[0], 0.75, 0.02);
});

test("the worker's script has all that it calls", async () => {
  const sent = [];
  const self = {};
  const channel = new MessageChannel();
  vm.runInNewContext(workerScript, {
    self,
    MessageChannel: function one() {
      return channel;
    },
    postMessage: (message) => sent.push(message),
  });
  const wait = async (kind) => {
    while (sent.at(-1)?.kind !== kind) await new Promise((next) => setTimeout(next, 5));
    return sent.at(-1);
  };
  self.onmessage({ data: { kind: "decode", model: 0, side, decoder } });
  const answer = await wait("table");
  assert.ok(sent.some(({ kind }) => kind === "progress"));
  const x = Float32Array.from(expected.images[0]);
  const logs = scorer(answer.table)(x, all);
  const q = { mu: [0, 0], sigma: [1, 1] };
  const job = { kind: "refine", model: 0, id: 1, x, known: all, logs, q };
  self.onmessage({ data: job });
  const { refined, bound } = await wait("refined");
  channel.port1.close();
  near(refined.logPx, expected.logPx[0], 0.02);
  assert.ok(bound < refined.logPx);
});
