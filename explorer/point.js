/** The point and the path. Pointer, keys and sliders all call the same `move`. */
import { neighbours } from "./map.js";
import { decode, model } from "./models.js";
import { forward, logLikelihood, sigmoid } from "./network.js";
import { fixed, pair } from "./numbers.js";
import { $, canvas, input, paint, say, set } from "./page.js";
import { on, state } from "./state.js";

/** @typedef {[number, number]} Code */

/** @type {Code[]} */
let pins = [];

/** Milliseconds that the last move took. */
export const moved = { took: 0 };

/**
 * @param {number} z1
 * @param {number} z2
 */
export function move(z1, z2) {
  const started = performance.now();
  state.z = [Math.min(4, Math.max(-4, z1)), Math.min(4, Math.max(-4, z2))];
  showPoint();
  if (pins.length === 1) drawPath();
  moved.took = performance.now() - started;
}

function showPoint() {
  const { z, image } = state;
  const logits = forward(model().decoder, z);
  paint(canvas("digit"), logits.map(sigmoid));
  $("digit").setAttribute("aria-label", `What the decoder draws at z = ${pair(z)}`);
  z.forEach((v, j) => {
    input(`z${j + 1}`).value = String(v);
    $(`value${j + 1}`).textContent = fixed(v);
  });
  set("point", { transform: `translate(${z[0]} ${-z[1]})` });
  $("near").textContent = neighbours(z);
  const value = image && fixed(logLikelihood(image.x, logits, image.known), 1);
  $("likelihood").textContent = value ? `${value} nats` : "–";
}

/** From the first pin to the second, or to the point. */
function drawPath() {
  const [from, to] = [pins[0] ?? state.z, pins[1] ?? state.z];
  set("path", { x1: from[0], y1: -from[1], x2: to[0], y2: -to[1] });
  [from, to].forEach((end, j) => {
    const visibility = pins[j] ? "visible" : "hidden";
    set(`pin${j + 1}`, { cx: end[0], cy: -end[1], visibility });
  });
  $("morph").hidden = pins.length < 2;
  if (pins.length < 2) return;
  for (let k = 0; k < 9; k++)
    paint(canvas("strip"), decode(from.map((v, j) => v + ((to[j] - v) * k) / 8)), k);
  const ends = `${pair(from)} to ${pair(to)}`;
  set("strip", { "aria-label": `Nine images decoded along the path from ${ends}` });
  $("ends").textContent = ends;
}

function clearPath() {
  pins = [];
  drawPath();
  say("Path cleared.");
}

function pin() {
  if (pins.length === 2) pins = [];
  pins.push(state.z);
  drawPath();
  if (pins.length === 1)
    say(`Pinned ${pair(state.z)}. Pin a second point to draw the path.`);
  else say(`Path from ${$("ends").textContent}; nine images along it are shown.`);
}

/** @type {Record<string, Code>} */
const arrows = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

/** @param {KeyboardEvent} event */
function press(event) {
  const step = arrows[event.key];
  if (event.key === "Enter" || event.key === " ") pin();
  else if (event.key === "Escape") clearPath();
  else if (step) {
    const size = event.shiftKey ? 0.01 : 0.1;
    move(state.z[0] + size * step[0], state.z[1] + size * step[1]);
    say(`z = ${pair(state.z)}. ${$("near").textContent}`);
  } else return;
  event.preventDefault();
}

/** @param {PointerEvent} event */
function follow(event) {
  const box = $("map").getBoundingClientRect();
  const right = (event.clientX - box.left) / box.width;
  const down = (event.clientY - box.top) / box.height;
  move(right * 8 - 4, 4 - down * 8);
}

/** A click or tap pins, a drag does not; a finger that scrolls the page moves nothing. */
function startPointer() {
  /** @type {Code | null} */
  let pressed = null;
  const map = $("map");
  map.addEventListener("pointermove", follow);
  map.addEventListener("pointerdown", (event) => {
    pressed = [event.clientX, event.clientY];
    if (event.pointerType !== "touch") follow(event);
  });
  map.addEventListener("pointercancel", () => {
    pressed = null;
  });
  map.addEventListener("pointerup", (event) => {
    const { clientX, clientY } = event;
    const still = pressed && Math.hypot(clientX - pressed[0], clientY - pressed[1]) < 8;
    pressed = null;
    if (!still) return;
    follow(event);
    pin();
  });
}

export function startPoint() {
  $("map").addEventListener("keydown", press);
  startPointer();
  for (const j of [0, 1])
    $(`z${j + 1}`).addEventListener("input", () => {
      const z = [...state.z];
      z[j] = +input(`z${j + 1}`).value;
      move(z[0], z[1]);
    });
  $("unpin").addEventListener("click", () => {
    clearPath();
    $("map").focus();
  });
  on("model", () => {
    showPoint();
    drawPath();
  });
  on("image", showPoint);
}
