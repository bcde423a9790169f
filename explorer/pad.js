/** The pad: ink, eraser and the unknown brush, and the test digits. */
import { encode } from "./bound.js";
import { data, height, width } from "./data.js";
import { binary, mnistFrame, resample } from "./drawing.js";
import { model } from "./models.js";
import { bytes } from "./numbers.js";
import { $, canvas, colour, fit, input, paint, pen, say } from "./page.js";
import { move } from "./point.js";
import { state, tell } from "./state.js";

/**
 * @typedef {"pen" | "eraser" | "unknown"} Tool
 * @typedef {{tool: Tool, points: number[][]}} Stroke in pixels of the model on the pad
 *
 * @typedef {object} Drawing never changed, so that all of them can be kept for undo
 * @property {number | null} digit the test digit under the strokes
 * @property {Stroke[]} strokes
 * @property {"" | "upper" | "lower"} half what the buttons hide
 */

const pixels = height * width;
const mnist = height === 28 && width === 28;
/** Points of the raster per pixel. */
const fine = Math.max(1, Math.min(10, Math.round(320 / Math.max(height, width))));
/** Radius of each tool, in pixels of the model. */
const radius = { pen: 1.25, eraser: 2, unknown: 2.2 };
const ones = new Uint8Array(pixels).fill(1);

/** @type {Drawing} */
const blank = { digit: null, strokes: [], half: "" };
let drawing = blank;
/** @type {Drawing[]} */
let past = [];

const bits = bytes(data.digits.bits);

/**
 * A test digit as zeros and ones.
 * @param {number} k
 */
export function testDigit(k) {
  return Float32Array.from({ length: pixels }, (_, i) => {
    const at = k * pixels + i;
    return (bits[at >> 3] >> (7 - (at & 7))) & 1;
  });
}

const layer = document.createElement("canvas");
layer.width = width * fine;
layer.height = height * fine;
const layerPen = pen(layer);

/**
 * The strokes of some tools as a raster; eraser strokes take away what is there.
 * @param {Tool} tool
 * @returns {import("./drawing.js").Raster}
 */
function raster(tool) {
  const context = layerPen;
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, layer.width, layer.height);
  context.lineCap = "round";
  context.lineJoin = "round";
  if (tool === "pen" && drawing.digit !== null)
    testDigit(drawing.digit).forEach((on, i) => {
      const [x, y] = [(i % width) * fine, Math.floor(i / width) * fine];
      if (on) context.fillRect(x, y, fine, fine);
    });
  for (const stroke of drawing.strokes) {
    if (stroke.tool !== tool && stroke.tool !== "eraser") continue;
    const rubs = stroke.tool === "eraser";
    context.globalCompositeOperation = rubs ? "destination-out" : "source-over";
    context.lineWidth = 2 * radius[stroke.tool] * fine;
    context.beginPath();
    for (const [x, y] of stroke.points) context.lineTo(x * fine, y * fine);
    const [x, y] = stroke.points[0];
    if (stroke.points.length === 1) context.lineTo(x * fine, y * fine + 0.1);
    context.stroke();
  }
  const { data: rgba } = context.getImageData(0, 0, layer.width, layer.height);
  const ink = new Float32Array(layer.width * layer.height);
  for (let i = 0; i < ink.length; i++) ink[i] = rgba[4 * i + 3] / 255;
  return { data: ink, width: layer.width, height: layer.height };
}

/** The frame of an image that is taken as it stands. */
const whole = { x: 0, y: 0, scale: fine };

/** The image of the drawing, and where it lies on the pad. */
function observe() {
  const ink = raster("pen");
  const drawn = drawing.digit === null && mnist;
  const frame = (drawn && mnistFrame(ink, height)) || whole;
  const x = binary(resample(ink, frame, height, width));
  let known = ones;
  if (drawing.half || drawing.strokes.some(({ tool }) => tool === "unknown")) {
    const haze = resample(raster("unknown"), frame, height, width);
    known = Uint8Array.from(haze, (cover, i) => {
      const upper = Math.floor(i / width) < height / 2;
      const hidden = drawing.half && (drawing.half === "upper") === upper;
      return hidden || cover > 0.5 ? 0 : 1;
    });
  }
  const inked = x.some((v) => v > 0);
  const untouched = drawing.strokes.every(({ tool }) => tool === "unknown");
  const all = known.every((v) => v === 1);
  const digit = untouched ? drawing.digit : null;
  return { frame, image: inked ? { x, known, whole: all, digit } : null };
}

let { frame, image } = observe();

/** Ink as it was drawn, and the pixels that the model may not see. */
function drawPad() {
  const pad = canvas("pad");
  const context = fit(pad);
  const unit = pad.clientWidth / layer.width;
  raster("pen");
  context.imageSmoothingEnabled = drawing.digit === null;
  context.drawImage(layer, 0, 0, layer.width * unit, layer.height * unit);
  if (!image || image.whole) return;
  const haze = document.createElement("canvas");
  haze.width = width;
  haze.height = height;
  hide(pen(haze), image.known, colour("--unknown"));
  context.imageSmoothingEnabled = false;
  const [left, top] = [frame.x * unit, frame.y * unit];
  const size = frame.scale * unit;
  context.drawImage(haze, left, top, width * size, height * size);
}

/**
 * Paints over the pixels that are not known.
 * @param {CanvasRenderingContext2D} context
 * @param {Uint8Array} known
 * @param {string} paint
 */
function hide(context, known, paint) {
  context.fillStyle = paint;
  known.forEach((known, i) => {
    if (!known) context.fillRect(i % width, Math.floor(i / width), 1, 1);
  });
}

/** The image as the model has it. */
function drawSeen() {
  const target = canvas("seen");
  paint(target, image ? image.x : new Float32Array(pixels));
  if (image) hide(pen(target), image.known, colour("--unknown-solid"));
  $("undo").toggleAttribute("disabled", past.length === 0);
  $("invitation").hidden = drawing !== blank;
  for (const half of ["upper", "lower"])
    $(half).setAttribute("aria-pressed", String(drawing.half === half));
  const which = image?.digit ?? null;
  const count = data.digits.index.filter((k) => k === data.digits.index[which ?? 0]);
  const rank = which === null ? 0 : Math.floor(which / first);
  const kinds = [": a typical one", ": a hard one", ": the hardest"];
  $("which").textContent = which === null || count.length < 3 ? "" : kinds[rank];
  document.querySelectorAll("#digits button").forEach((button, k) => {
    const pressed = which !== null && which % first === k;
    button.setAttribute("aria-pressed", String(pressed));
  });
}

let waiting = false;

/** Looks anew once per frame of the screen, however many points came in. */
function refresh() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    ({ frame, image } = observe());
    drawPad();
    drawSeen();
    state.image = image;
    tell("image");
  });
}

/** @param {Drawing} next */
function change(next) {
  past.push(drawing);
  past = past.slice(-200);
  drawing = next;
  refresh();
}

function undo() {
  drawing = past.pop() ?? drawing;
  refresh();
}

/** Nothing on the pad. */
export function clearPad() {
  if (drawing !== blank) change(blank);
}

/** Test digits come class by class: typical ones first, then hard, then hardest. */
const first = Math.max(1, new Set(data.digits.index).size);

/**
 * A test digit on the pad, and the point where the encoder puts it.
 * @param {number} k
 */
export function showDigit(k) {
  change({ digit: k, strokes: [], half: "" });
  const { mu } = encode(model().encoder, testDigit(k));
  move(mu[0], mu[1]);
}

function startDigits() {
  for (let k = 0; k < first; k++) {
    const button = document.createElement("button");
    button.type = "button";
    const name = data.classes[data.digits.index[k]];
    button.textContent = name;
    button.setAttribute("aria-label", `Test digit of class ${name}`);
    button.addEventListener("click", () => {
      const shown = drawing.digit ?? -1;
      const next = shown % first === k ? shown + first : k;
      showDigit(next < data.digits.index.length ? next : k);
      say(`Test digit of class ${name} on the pad.`);
    });
    $("digits").append(button);
  }
}

/** @param {PointerEvent} event */
function place(event) {
  const box = $("pad").getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * width;
  return [x, ((event.clientY - box.top) / box.height) * height];
}

function startStrokes() {
  const pad = $("pad");
  /** @type {Stroke | null} */
  let stroke = null;
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    const checked = document.querySelector("#tools input:checked");
    const tool = /** @type {Tool} */ (checked?.getAttribute("value"));
    stroke = { tool, points: [place(event)] };
    change({ ...drawing, strokes: [...drawing.strokes, stroke] });
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    stroke.points.push(...(events.length ? events : [event]).map(place));
    refresh();
  });
  const end = () => {
    stroke = null;
  };
  pad.addEventListener("pointerup", end);
  pad.addEventListener("pointercancel", end);
}

/** @param {number} k the test digit to begin with */
export function startPad(k) {
  startDigits();
  startStrokes();
  $("undo").addEventListener("click", undo);
  $("wipe").addEventListener("click", clearPad);
  for (const half of /** @type {const} */ (["upper", "lower"]))
    $(half).addEventListener("click", () => {
      change({ ...drawing, half: drawing.half === half ? "" : half });
    });
  new ResizeObserver(drawPad).observe($("pad"));
  $("form").hidden = !mnist;
  input("pen").checked = true;
  showDigit(k);
  past = [];
}
