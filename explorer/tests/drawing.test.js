import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { contrast, luminance, readable } from "../colours.js";
import { contour } from "../contour.js";
import { binary, mnistFrame, resample } from "../drawing.js";
import { near } from "./tools.js";

/** A raster of 280×280 points with a filled rectangle. */
function rectangle(left, top, width, height) {
  const data = new Float32Array(280 * 280);
  for (let y = top; y < top + height; y++)
    data.fill(1, y * 280 + left, y * 280 + left + width);
  return { data, width: 280, height: 280 };
}

test("the longest side becomes 20 of 28 pixels, the mass is centred", () => {
  const ink = rectangle(30, 100, 60, 120);
  const frame = mnistFrame(ink, 28);
  assert.deepEqual(frame, { x: 60 - 84, y: 160 - 84, scale: 6 });
  const x = binary(resample(ink, frame, 28, 28));
  const rows = Array.from({ length: 28 }, (_, r) =>
    x.slice(28 * r, 28 * r + 28).reduce((a, b) => a + b),
  );
  assert.deepEqual(rows, [...Array(4).fill(0), ...Array(20).fill(10), 0, 0, 0, 0]);
});

test("no ink has no frame", () => {
  assert.equal(mnistFrame(rectangle(0, 0, 0, 0), 28), null);
});

test("an image on a raster of its own comes back", () => {
  const image = Float32Array.from({ length: 63 }, (_, i) => Number(i % 4 === 1));
  const data = Float32Array.from({ length: 90 * 70 }, (_, k) => {
    const [row, column] = [Math.floor(k / 70 / 10), Math.floor((k % 70) / 10)];
    return image[7 * row + column];
  });
  const grey = resample(
    { data, width: 70, height: 90 },
    { x: 0, y: 0, scale: 10 },
    9,
    7,
  );
  assert.deepEqual([...binary(grey)], [...image]);
});

test("grey is the covered part of a pixel", () => {
  const grey = resample(rectangle(0, 0, 5, 280), { x: 0, y: 0, scale: 10 }, 28, 28);
  near(grey[0], 0.5, 1e-9);
  assert.equal(grey[1], 0);
});

test("contours of a cone are circles", () => {
  const field = Float32Array.from({ length: 41 * 41 }, (_, k) =>
    Math.hypot((k % 41) - 20, Math.floor(k / 41) - 20),
  );
  const lines = contour(field, 41, 41, 10);
  assert.ok(lines.length / 4 > 40);
  for (let k = 0; k < lines.length; k += 2)
    near(Math.hypot(lines[k] - 20, lines[k + 1] - 20), 10, 0.1);
});

test("contrast is that of WCAG", () => {
  near(contrast([0, 0, 0], [255, 255, 255]), 21, 1e-9);
  near(luminance([119, 119, 119]), 0.184, 0.001);
});

test("pale colours are darkened on white and dark ones lightened on black", () => {
  const pale = [255, 230, 120];
  const dark = [60, 10, 90];
  for (const [rgb, ground] of [
    [pale, [255, 255, 255]],
    [dark, [21, 24, 28]],
  ]) {
    assert.ok(contrast(rgb, ground) < 3);
    assert.ok(contrast(readable(rgb, ground), ground) >= 3);
    assert.ok(contrast(readable(rgb, ground), ground) < 3.5);
  }
  assert.deepEqual(readable(dark, [255, 255, 255]), dark);
});

test("the page lists every module, each after what it imports", () => {
  const folder = new URL("../", import.meta.url);
  const read = (name) => readFileSync(new URL(name, folder), "utf8");
  const listed = [...read("index.html").matchAll(/src="(.*\.js)"/g)].map((m) => m[1]);
  const files = readdirSync(folder).filter((name) => name.endsWith(".js"));
  assert.deepEqual([...listed].sort(), files.sort());
  listed.forEach((name, k) => {
    const imports = read(name).matchAll(/^} from "\.\/(.*)"|^import .* "\.\/(.*)"/gm);
    for (const [, long, short] of imports)
      assert.ok(listed.indexOf(long ?? short) < k, `${name} imports ${long ?? short}`);
  });
});
