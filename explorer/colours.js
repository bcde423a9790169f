/** Colours that can be told from what is behind them. */

/** @typedef {number[]} Rgb red, green, blue, 0 to 255 */

/**
 * Relative luminance (WCAG 2).
 * @param {Rgb} rgb
 */
export function luminance(rgb) {
  const [r, g, b] = rgb.map((v) =>
    v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * Contrast ratio of two colours, 1 to 21 (WCAG 2).
 * @param {Rgb} a
 * @param {Rgb} b
 */
export function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((p, q) => p - q);
  return (high + 0.05) / (low + 0.05);
}

/**
 * The colour, mixed with black or white until it stands out from the ground.
 * @param {Rgb} rgb
 * @param {Rgb} ground
 */
export function readable(rgb, ground, least = 3) {
  const towards = luminance(ground) > 0.18 ? 0 : 255;
  for (let share = 0; share <= 1; share += 0.02) {
    const mixed = rgb.map((v) => Math.round(v + (towards - v) * share));
    if (contrast(mixed, ground) >= least) return mixed;
  }
  return [towards, towards, towards];
}
