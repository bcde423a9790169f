/** A posterior as a heat map with the outlines of its smallest regions. */
import { contour } from "./contour.js";
import { colour } from "./page.js";

/**
 * @typedef {object} Field log densities, up to a constant, on points of the plane
 * @property {ArrayLike<number>} values row by row, z₂ upwards
 * @property {number} columns
 * @property {number} rows
 * @property {number} step
 * @property {number} left edge of the first column
 * @property {number} bottom edge of the first row
 *
 * @typedef {{left: number, bottom: number, size: number}} Box what a canvas shows
 */

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} size of the canvas
 * @param {Field} field
 * @param {Box} box
 * @param {number[]} levels outlines, the innermost first
 */
export function drawField(context, size, field, box, levels) {
  const { values, columns, rows, step } = field;
  const unit = size / box.size;
  const heat = document.createElement("canvas");
  heat.width = columns;
  heat.height = rows;
  const tint = colour("--posterior", context.canvas);
  const [r, g, b] = tint.match(/[0-9a-f]{2}/gi)?.map((v) => Number.parseInt(v, 16)) ?? [
    0, 0, 0,
  ];
  const image = new ImageData(columns, rows);
  let top = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < values.length; k++) top = Math.max(top, values[k]);
  for (let k = 0; k < values.length; k++) {
    const row = rows - 1 - Math.floor(k / columns);
    const opacity = 215 * Math.exp((values[k] - top) / 2);
    image.data.set([r, g, b, opacity], 4 * (row * columns + (k % columns)));
  }
  heat.getContext("2d")?.putImageData(image, 0, 0);
  const x = (field.left - box.left) * unit;
  const y = size - (field.bottom - box.bottom + rows * step) * unit;
  context.drawImage(heat, x, y, columns * step * unit, rows * step * unit);
  context.strokeStyle = tint;
  levels.forEach((level, k) => {
    const lines = contour(values, columns, rows, level);
    context.lineWidth = [2, 1.4, 0.8][k];
    context.beginPath();
    for (let i = 0; i < lines.length; i += 4) {
      const at = (/** @type {number} */ j) => [
        x + (lines[i + j] + 0.5) * step * unit,
        y + (rows - lines[i + j + 1] - 0.5) * step * unit,
      ];
      context.moveTo(at(0)[0], at(0)[1]);
      context.lineTo(at(2)[0], at(2)[1]);
    }
    context.stroke();
  });
}
