/**
 * What the notebook packed for the page.
 *
 * @typedef {object} PackedNetwork a perceptron: layer widths from input to output
 * @property {number[]} widths
 * @property {boolean} norm whether its hidden layers have layer normalisation
 * @property {string} weights kernel (in, out) then bias (out,), layer by layer
 *
 * @typedef {object} PackedModel
 * @property {string} name
 * @property {PackedNetwork | null} encoder null: that of the first model
 * @property {PackedNetwork} decoder
 * @property {string} codes (N, 2), of all test images
 * @property {number[][]} spots where to write the name of each class
 *
 * @typedef {object} Content
 * @property {string} note for instance that these are stand-in data
 * @property {number[]} size height and width of an image
 * @property {PackedModel[]} models one, or two to compare
 * @property {string[]} classes names
 * @property {number[][]} colours red, green, blue of the classes, repeated if too few
 * @property {number[]} index the class of each test image
 * @property {{bits: string, index: number[], logPx: number[]}} digits some test images:
 *   pixels in bits, class, and log p(x) as the notebook has it
 * @property {{steps: number[], codes: string}} replay codes (moments, n, 2) of the first
 *   n test images while the first model was trained
 */

/** The built page's own content; while developing, that of the last built page. */
async function load() {
  const own = JSON.parse(document.getElementById("data")?.textContent ?? "null");
  if (own) return own;
  const text = await (await fetch("../Results/latent_explorer.html")).text();
  const built = new DOMParser().parseFromString(text, "text/html");
  return JSON.parse(built.getElementById("data")?.textContent ?? "null");
}

/** @type {Content} */
export const data = await load();
export const [height, width] = data.size;
