/** Numbers as text, both ways: what the notebook packed, and what a person reads. */

/** @param {string} text base64 */
export function bytes(text) {
  const characters = atob(text);
  const out = new Uint8Array(characters.length);
  for (let i = 0; i < out.length; i++) out[i] = characters.charCodeAt(i);
  return out;
}

/**
 * A float16 as a number: sign, 5 bits of exponent, 10 of fraction.
 * @param {number} half
 */
export function fromHalf(half) {
  const exponent = (half >> 10) & 31;
  const fraction = (half & 1023) / 1024;
  const size = exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14;
  return half & 0x8000 ? -size : size;
}

const halves = Float32Array.from({ length: 65536 }, (_, half) => fromHalf(half));

/**
 * Packed numbers: float16, all low bytes before all high ones, deflate, base64.
 * @param {string} text
 */
export async function unpack(text) {
  const packed = new Blob([bytes(text)]).stream();
  const plain = packed.pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(plain).arrayBuffer());
  const n = planes.length / 2;
  const out = new Float32Array(n);
  for (let i = 0; i < n; i++) out[i] = halves[planes[i] | (planes[n + i] << 8)];
  return out;
}

/**
 * With a true minus sign.
 * @param {number} value
 */
export const fixed = (value, places = 2) => value.toFixed(places).replace("-", "−");

/** @param {ArrayLike<number>} z */
export const pair = (z) => `(${fixed(z[0])}, ${fixed(z[1])})`;

/**
 * Shares in words, for one who cannot see the bars: the largest first.
 * @param {number[]} shares
 * @param {string[]} names
 */
export function percentages(shares, names) {
  const order = shares.map((_, k) => k).sort((a, b) => shares[b] - shares[a]);
  const named = order.filter((k, rank) => rank === 0 || shares[k] >= 0.05).slice(0, 4);
  return named.map((k) => `${names[k]}: ${percent(shares[k])}`).join(", ");
}

/**
 * A share of 1 as a percentage that claims neither certainty nor impossibility.
 * @param {number} share
 */
export function percent(share) {
  if (share > 0.995 && share < 1 - 1e-6) return "over 99 %";
  if (share < 0.005 && share > 0) return "under 1 %";
  return `${Math.round(100 * share)} %`;
}
