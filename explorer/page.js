/** The page's elements. */
import { height, width } from "./data.js";

/** @param {string} id */
export function $(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return element;
}

/** @param {string} id */
export const canvas = (id) => /** @type {HTMLCanvasElement} */ ($(id));

/** @param {string} id */
export const input = (id) => /** @type {HTMLInputElement} */ ($(id));

/** @param {HTMLCanvasElement} target */
export function pen(target) {
  const context = target.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas");
  return context;
}

/**
 * Attributes of an element.
 * @param {string} id
 * @param {Record<string, string | number>} values
 */
export function set(id, values) {
  for (const [key, value] of Object.entries(values))
    $(id).setAttribute(key, String(value));
}

/**
 * A colour of the style sheet, as it is now for an element.
 * @param {string} name
 */
export const colour = (name, element = document.documentElement) =>
  getComputedStyle(element).getPropertyValue(name).trim();

/** @type {number | undefined} */
let timer;

/**
 * To screen readers, once things rest.
 * @param {string} text
 */
export function say(text) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    $("live").textContent = text;
  }, 400);
}

/**
 * Pixels y as ink, 0 white and 1 black, tile by tile in rows.
 * @param {HTMLCanvasElement} target
 * @param {ArrayLike<number>} y
 */
export function paint(target, y, tile = 0) {
  const image = new ImageData(width, height);
  const ink = new Uint32Array(image.data.buffer);
  for (let i = 0; i < ink.length; i++)
    ink[i] = 0xff000000 | (Math.round(255 * (1 - y[i])) * 0x010101);
  const at = tile * width;
  const row = Math.floor(at / target.width);
  pen(target).putImageData(image, at % target.width, row * height);
}

/**
 * The size of a canvas in the pixels of the screen; returns its pen, in CSS pixels.
 * @param {HTMLCanvasElement} target
 */
export function fit(target) {
  const ratio = devicePixelRatio;
  target.width = Math.round(target.clientWidth * ratio);
  target.height = Math.round(target.clientHeight * ratio);
  const context = pen(target);
  context.scale(ratio, ratio);
  return context;
}
