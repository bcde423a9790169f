/** The map: dots or decoded tiles, above them the posterior, above it an SVG. */
import { belief, side } from "./beliefs.js";
import { readable } from "./colours.js";
import { data, height, width } from "./data.js";
import { drawField } from "./field.js";
import { regions } from "./grid.js";
import { decode, model } from "./models.js";
import { fixed } from "./numbers.js";
import { $, canvas, colour, fit, input, paint, set } from "./page.js";
import { momentCodes } from "./replay.js";
import { on, state } from "./state.js";

/** @type {string[]} colours of the classes, on the map's ground */
export let colours = [];

function chooseColours() {
  const ground = colour("--page").slice(1);
  const rgb = [0, 2, 4].map((at) => Number.parseInt(ground.slice(at, at + 2), 16));
  colours = data.colours.map((c) => `rgb(${readable(c, rgb)})`);
}

/** @param {number} k */
export const classColour = (k) => colours[k % colours.length];

/**
 * @param {string} group
 * @param {number} x
 * @param {number} y
 * @param {string} text
 */
function write(group, x, y, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", "text");
  node.setAttribute("x", String(x));
  node.setAttribute("y", String(y));
  node.textContent = text;
  $(group).append(node);
}

/** @type {Map<number, HTMLCanvasElement>} */
const planes = new Map();

/** 20×20 decoded tiles over (-4, 4)², z₂ upwards: made when first asked for. */
function decodedPlane() {
  const made = planes.get(state.model);
  if (made) return made;
  const plane = document.createElement("canvas");
  plane.width = 20 * width;
  plane.height = 20 * height;
  for (let k = 0; k < 400; k++)
    paint(
      plane,
      decode([((k % 20) + 0.5) * 0.4 - 4, 3.8 - Math.floor(k / 20) * 0.4]),
      k,
    );
  planes.set(state.model, plane);
  return plane;
}

/** Where the name of each class goes, for codes of a moment of training: medians. */
function medians(/** @type {Float32Array} */ codes) {
  return data.classes.map((_, k) =>
    [0, 1].map((j) => {
      const own = codes.filter((_, i) => i % 2 === j && data.index[i >> 1] === k);
      return own.sort()[own.length >> 1] ?? Number.NaN;
    }),
  );
}

function drawDots() {
  const context = fit(canvas("dots"));
  const size = canvas("dots").clientWidth;
  const codes = momentCodes() ?? model().codes;
  const labels = input("labels").checked;
  $("names").replaceChildren();
  const tiles = input("tiles").checked;
  const spots = state.moment === null ? model().spots : medians(codes);
  if (labels && !tiles)
    data.classes.forEach((name, k) => {
      const [x, y] = spots[k];
      if (Math.abs(x) < 4 && Math.abs(y) < 4) write("names", x, -y, name);
    });
  if (tiles) {
    context.drawImage(decodedPlane(), 0, 0, size, size);
    return;
  }
  const n = codes.length / 2;
  const dot = Math.min(7, Math.max(2, 200 / Math.sqrt(n)));
  context.fillStyle = colour("--dots"); // without labels: what training saw
  for (let i = 0; i < n; i++) {
    if (labels) context.fillStyle = classColour(data.index[i]);
    const left = ((codes[2 * i] + 4) / 8) * size;
    const top = ((4 - codes[2 * i + 1]) / 8) * size;
    context.fillRect(left - dot / 2, top - dot / 2, dot, dot);
  }
}

/** The posterior over the plane, and the encoder's q. */
function drawBelief() {
  const found = state.moment === null ? belief() : null;
  const target = canvas("heat");
  const context = fit(target);
  set("ellipses", { visibility: found?.q ? "visible" : "hidden" });
  if (found?.q)
    for (const k of [1, 2]) {
      const [rx, ry] = found.q.sigma.map((s) => k * s);
      set(`sd${k}`, { cx: found.q.mu[0], cy: -found.q.mu[1], rx, ry });
    }
  if (!found?.masses) return;
  const step = 8 / side;
  const levels = regions(found.masses, [0.5, 0.9, 0.99]);
  const field = { values: found.masses, columns: side, rows: side, step };
  const box = { left: -4, bottom: -4, size: 8 };
  drawField(
    context,
    target.clientWidth,
    { ...field, left: -4, bottom: -4 },
    box,
    levels,
  );
}

/**
 * Whose codes are near, in words.
 * @param {number[]} z
 */
export function neighbours([z1, z2]) {
  const { codes } = model();
  const votes = data.classes.map(() => 0);
  let total = 0;
  for (let i = 0; i < data.index.length; i++) {
    const [a, b] = [codes[2 * i] - z1, codes[2 * i + 1] - z2];
    if (a * a + b * b >= 0.04) continue;
    votes[data.index[i]]++;
    total++;
  }
  if (!total) return "No test code within 0.2.";
  const most = votes.indexOf(Math.max(...votes));
  const share = Math.round((100 * votes[most]) / total);
  return `Test codes within 0.2: ${total}, ${share} % of class ${data.classes[most]}.`;
}

function drawAll() {
  chooseColours();
  const trained = model().borrowed
    ? "each drawn from its posterior"
    : "where the encoder puts them";
  $("origin").textContent =
    state.moment === null
      ? trained
      : "of an earlier time; all else is the trained model";
  drawDots();
  drawBelief();
}

export function startMap() {
  for (const t of [-3, -2, -1, 0, 1, 2, 3]) {
    write("ticks", t, 4.2, fixed(t, 0));
    write("ticks", -4.2, -t, fixed(t, 0));
  }
  write("ticks", 3.75, 4.2, "z₁");
  write("ticks", -4.2, -3.75, "z₂");
  for (const id of ["labels", "tiles"]) $(id).addEventListener("change", drawAll);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", drawAll);
  new ResizeObserver(drawAll).observe($("map"));
  on("belief", drawBelief);
  on("model", drawAll);
  on("moment", drawAll);
  chooseColours();
}
