/** The models, unpacked. */
import { data } from "./data.js";
import { forward, network, sigmoid } from "./network.js";
import { unpack } from "./numbers.js";
import { state } from "./state.js";

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {import("./network.js").Network} encoder
 * @property {import("./network.js").Network} decoder
 * @property {boolean} borrowed whether the encoder was trained with another decoder
 * @property {Float32Array} codes
 * @property {number[][]} spots
 */

/** @param {import("./data.js").PackedNetwork} packed */
const open = async ({ widths, norm, weights }) =>
  network(widths, norm, await unpack(weights));

const encoders = await Promise.all(
  data.models.map(({ encoder }) => encoder && open(encoder)),
);

/** @type {Model[]} */
export const models = await Promise.all(
  data.models.map(async ({ name, decoder, codes, spots }, k) => ({
    name,
    encoder: /** @type {import("./network.js").Network} */ (encoders[k] ?? encoders[0]),
    decoder: await open(decoder),
    borrowed: !encoders[k],
    codes: await unpack(codes),
    spots,
  })),
);

/** The one on show. */
export const model = () => models[state.model];

/**
 * y of Eq. 11: the probability of each pixel to be ink.
 * @param {ArrayLike<number>} z
 */
export const decode = (z) => forward(model().decoder, z).map(sigmoid);
