/** Lines of equal height on a field of numbers: marching squares. */

/**
 * Line segments [x1, y1, x2, y2, …] where a field on the points (0..columns-1,
 * 0..rows-1) crosses `level`, linear between points.
 * @param {ArrayLike<number>} field row by row
 * @param {number} columns
 * @param {number} rows
 * @param {number} level
 */
export function contour(field, columns, rows, level) {
  const lines = [];
  for (let y = 0; y + 1 < rows; y++)
    for (let x = 0; x + 1 < columns; x++) {
      const at = y * columns + x;
      const corners = [at, at + 1, at + columns + 1, at + columns].map((k) => field[k]);
      const crossings = [];
      for (let side = 0; side < 4; side++) {
        const [a, b] = [corners[side], corners[(side + 1) % 4]];
        if (a >= level === b >= level) continue;
        const t = (level - a) / (b - a);
        crossings.push(
          [
            [x + t, y],
            [x + 1, y + t],
            [x + 1 - t, y + 1],
            [x, y + 1 - t],
          ][side],
        );
      }
      for (let k = 0; k + 1 < crossings.length; k += 2)
        lines.push(...crossings[k], ...crossings[k + 1]);
    }
  return lines;
}
