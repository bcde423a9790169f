/** What the parts of the page share, and how they hear of changes. */

/**
 * @typedef {object} Observed an image, drawn or taken from the test set
 * @property {Float32Array} x (pixels,), zeros and ones
 * @property {Uint8Array} known (pixels,), 1 where the model may look
 * @property {boolean} whole whether all are known
 * @property {number | null} digit its number among the test digits, if it is one of them
 */

export const state = {
  model: 0,
  /** @type {[number, number]} */
  z: [0, 0],
  /** @type {Observed | null} */
  image: null,
  /** moment of training that the map shows; null is the end */
  moment: /** @type {number | null} */ (null),
};

const changes = new EventTarget();

/** @typedef {"model" | "point" | "image" | "belief" | "progress" | "moment"} Change */

/**
 * @param {Change} change
 * @param {() => void} listener
 */
export const on = (change, listener) => changes.addEventListener(change, listener);

/** @param {Change} change */
export const tell = (change) => changes.dispatchEvent(new Event(change));
