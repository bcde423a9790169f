/** What the unit tests share. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { network } from "../network.js";
import { unpack } from "../numbers.js";

/** Small networks and what TensorFlow and NumPy make of them (test_explorer.py). */
export const expected = JSON.parse(
  readFileSync(new URL("expected.json", import.meta.url), "utf8"),
);

const open = async ({ widths, norm, weights }) =>
  network(widths, norm, await unpack(weights));

export const encoder = await open(expected.encoder);
export const decoder = await open(expected.decoder);
/** With narrow posteriors. */
export const sharp = await open(expected.sharp);

export function near(actual, wanted, tolerance) {
  assert.ok(Math.abs(actual - wanted) <= tolerance, `${actual} is not ${wanted}`);
}

export const all = new Uint8Array(12).fill(1);
