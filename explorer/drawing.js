/**
 * From a drawing to the image that the model sees. The ink is a raster of `fine` by
 * `fine` points per pixel of the model, from 0 (paper) to 1 (ink).
 *
 * @typedef {{data: Float32Array, width: number, height: number}} Raster
 *
 * @typedef {object} Frame where the model's pixels lie on the raster
 * @property {number} x left edge of the image
 * @property {number} y top edge of the image
 * @property {number} scale points of the raster per pixel of the model
 */

/**
 * Where MNIST would put this ink: the longest side of its box scaled to 20 of 28 pixels,
 * its centre of mass in the middle of the image. Null where there is no ink.
 * @param {Raster} ink
 * @param {number} size the model's image is size×size
 * @returns {Frame | null}
 */
export function mnistFrame({ data, width, height }, size) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const v = data[y * width + x];
      if (v < 0.1) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      mass += v;
      massX += v * (x + 0.5);
      massY += v * (y + 0.5);
    }
  if (!mass) return null;
  const longest = Math.max(right - left, bottom - top) + 1;
  const scale = longest / ((20 / 28) * size);
  const half = (size / 2) * scale;
  return { x: massX / mass - half, y: massY / mass - half, scale };
}

/**
 * The model's pixels in grey: the mean of the ink under each.
 * @param {Raster} ink
 * @param {Frame} frame
 * @param {number} rows
 * @param {number} columns
 */
export function resample({ data, width, height }, frame, rows, columns) {
  const points = Math.max(2, Math.ceil(frame.scale));
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    let sum = 0;
    for (let a = 0; a < points; a++)
      for (let b = 0; b < points; b++) {
        const down = (Math.floor(i / columns) + (a + 0.5) / points) * frame.scale;
        const across = ((i % columns) + (b + 0.5) / points) * frame.scale;
        const [x, y] = [Math.floor(frame.x + across), Math.floor(frame.y + down)];
        if (x >= 0 && x < width && y >= 0 && y < height) sum += data[y * width + x];
      }
    return sum / points ** 2;
  });
}

/**
 * Binary, as the model has it: ink where more than half of a pixel is covered.
 * @param {Float32Array} grey
 */
export const binary = (grey) => grey.map((v) => Number(v > 0.5));
