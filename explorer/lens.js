/** The posterior from near: a small frame of the map, enlarged. */
import { belief } from "./beliefs.js";
import { drawField } from "./field.js";
import { highest } from "./grid.js";
import { fixed } from "./numbers.js";
import { $, canvas, colour, fit, set } from "./page.js";
import { on, state } from "./state.js";

/**
 * The square that holds the 99 % region, and q's ellipse if it is not far.
 * @param {import("./refine.js").Refined} refined
 * @param {import("./bound.js").Gaussian | null} q
 * @returns {import("./field.js").Box}
 */
export function lensBox({ leaves, levels }, q) {
  const { z1, z2, size, log } = leaves;
  const low = [9, 9];
  const high = [-9, -9];
  const include = (/** @type {number[]} */ z) =>
    z.forEach((v, j) => {
      low[j] = Math.min(low[j], v);
      high[j] = Math.max(high[j], v);
    });
  log.forEach((mass, k) => {
    if (mass - 2 * Math.log(size[k]) < levels[2]) return;
    for (const sign of [-0.5, 0.5])
      include([z1[k] + sign * size[k], z2[k] + sign * size[k]]);
  });
  const extent = () => Math.max(high[0] - low[0], high[1] - low[1]);
  const reach = Math.max(2 * extent(), 0.1);
  const near = q?.mu.every((m, j) => m > low[j] - reach && m < high[j] + reach);
  if (q && near)
    for (const sign of [-2, 2]) include(q.mu.map((m, j) => m + sign * q.sigma[j]));
  const side = Math.min(8, 1.25 * extent());
  const [left, bottom] = low.map((v, j) =>
    Math.max(-4, Math.min(4 - side, (v + high[j] - side) / 2)),
  );
  return { left, bottom, size: side };
}

/**
 * The posterior within a box: log densities on a raster of the size of most leaves; of
 * smaller ones, the highest.
 * @param {import("./refine.js").Leaves} leaves
 * @param {import("./field.js").Box} box
 * @returns {import("./field.js").Field}
 */
export function lensField({ z1, z2, size, log }, box) {
  /** @type {Map<number, number>} mass of the leaves of each size */
  const held = new Map();
  const top = highest(log);
  log.forEach((mass, k) => {
    held.set(size[k], (held.get(size[k]) ?? 0) + Math.exp(mass - top));
  });
  let [[step]] = [...held].sort((a, b) => b[1] - a[1]);
  while (box.size / step > 200) step *= 2;
  const first = [box.left, box.bottom].map((v) => Math.floor((v + 4) / step) - 1);
  const columns = Math.ceil(box.size / step) + 3;
  const values = new Float32Array(columns ** 2).fill(-1e9);
  log.forEach((mass, k) => {
    const density = mass - 2 * Math.log(size[k]);
    const [x, y] = [z1[k], z2[k]].map((z, j) =>
      Math.floor((z - size[k] / 2 + 4) / step + 1e-6 - first[j]),
    );
    const span = Math.max(1, Math.round(size[k] / step));
    for (let row = Math.max(0, y); row < Math.min(columns, y + span); row++)
      for (
        let column = Math.max(0, x);
        column < Math.min(columns, x + span);
        column++
      ) {
        const at = row * columns + column;
        values[at] = Math.max(values[at], density);
      }
  });
  const [left, bottom] = first.map((v) => v * step - 4);
  return { values, columns, rows: columns, step, left, bottom };
}

function drawLens() {
  const found = belief();
  const target = canvas("lens");
  target.classList.toggle("stale", found !== null && !found.refined);
  if (found && !found.refined) return; // the last one stays until the next is ready
  const context = fit(target);
  const now = found && state.moment === null; // else the map shows another time
  set("frame", { visibility: now ? "visible" : "hidden" });
  $("zoom").textContent = "the posterior, enlarged";
  if (!found?.refined) return;
  const { q, refined } = found;
  const box = lensBox(refined, q);
  const size = target.clientWidth;
  drawField(context, size, lensField(refined.leaves, box), box, refined.levels);
  const unit = size / box.size;
  const place = (/** @type {number[]} */ z) => [
    (z[0] - box.left) * unit,
    size - (z[1] - box.bottom) * unit,
  ];
  context.lineWidth = 2;
  context.strokeStyle = colour("--q");
  for (const k of q ? [1, 2] : []) {
    const { mu, sigma } = /** @type {import("./bound.js").Gaussian} */ (q);
    const [x, y] = place(mu);
    context.beginPath();
    context.ellipse(x, y, k * sigma[0] * unit, k * sigma[1] * unit, 0, 0, 7);
    context.stroke();
  }
  const [x, y] = place(refined.peak);
  context.strokeStyle = colour("--ink");
  context.beginPath();
  for (const [a, b] of [
    [7, 0],
    [0, 7],
  ]) {
    context.moveTo(x - a, y - b);
    context.lineTo(x + a, y + b);
  }
  context.stroke();
  const where = box.size < 0.4 ? "the ring’s middle" : "the frame on the map";
  const corner = { x: box.left, y: -box.bottom - box.size };
  set("window", { ...corner, width: box.size, height: box.size });
  const middle = { cx: box.left + box.size / 2, cy: -box.bottom - box.size / 2 };
  set("ring", { ...middle, visibility: box.size < 0.4 ? "inherit" : "hidden" });
  $("zoom").textContent =
    `${where}, enlarged: ${fixed(box.size, box.size < 0.1 ? 3 : 2)} wide`;
}

export function startLens() {
  on("belief", drawLens);
  on("model", drawLens);
  on("moment", drawLens);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", drawLens);
  new ResizeObserver(drawLens).observe(canvas("lens"));
}
