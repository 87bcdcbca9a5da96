// Activation regions of a small ReLU network of two inputs, as polygons in a square window, and what they say.

const SLIVER = 1e-10; // an area below this is rounding

const along = (normal, offset) => ([x, y]) => normal[0] * x + normal[1] * y + offset;

/** The part of a convex polygon where `side` is positive. */
function clip(corners, side) {
  const kept = [];
  corners.forEach((corner, n) => {
    const next = corners[(n + 1) % corners.length], here = side(corner), there = side(next);
    if (here > 0) kept.push(corner);
    if (here * there < 0) kept.push(corner.map((c, i) => c + (next[i] - c) * here / (here - there)));
    else if (here === 0) kept.push(corner);
  });
  return kept;
}

function area(corners) {
  return Math.abs(corners.reduce((sum, [x, y], n) => {
    const [u, v] = corners[(n + 1) % corners.length];
    return sum + (x * v - u * y) / 2;
  }, 0));
}

/** The network with its first `count` weights in `order` removed: matrices [inputs][outputs] in hundredths. */
export function pruned({ weights, biases, order }, count) {
  const left = weights.map((matrix) => matrix.map((row) => row.map((value) => value / 100)));
  order.slice(0, count).forEach(([layer, row, column]) => { left[layer][row][column] = 0; });
  return { weights: left, biases: biases.map((vector) => vector.map((value) => value / 100)) };
}

const times = (vector, matrix) => matrix[0].map((_, o) => vector.reduce((sum, value, i) => sum + value * matrix[i][o], 0));

/** All regions in the window: corners, pattern, and gradient and offset of the difference of the two logits. */
export function regions({ weights, biases }, window) {
  const corners = [[-window, -window], [window, -window], [window, window], [-window, window]];
  let parts = [{ corners, pattern: "", slope: [[1, 0], [0, 1]], shift: [0, 0] }];
  weights.slice(0, -1).forEach((matrix, depth) => {
    parts = parts.flatMap((part) => {
      const slope = part.slope.map((row) => times(row, matrix));
      const shift = times(part.shift, matrix).map((value, o) => value + biases[depth][o]);
      let pieces = [{ corners: part.corners, signs: [] }];
      shift.forEach((offset, unit) => {
        const value = along(slope.map((row) => row[unit]), offset);
        pieces = pieces.flatMap(({ corners, signs }) => [true, false].map((on) => ({
          corners: clip(corners, on ? value : (point) => -value(point)), signs: [...signs, on],
        })).filter((piece) => area(piece.corners) > SLIVER));
      });
      return pieces.map(({ corners, signs }) => ({
        corners, pattern: part.pattern + signs.map(Number).join(""),
        slope: slope.map((row) => row.map((value, u) => signs[u] ? value : 0)), shift: shift.map((value, u) => signs[u] ? value : 0),
      }));
    });
  });
  const difference = weights.at(-1).map(([first, second]) => [second - first]);
  const [below, above] = biases.at(-1);
  return parts.map(({ corners, pattern, slope, shift }) => ({
    corners, pattern, gradient: slope.map((row) => times(row, difference)[0]), offset: times(shift, difference)[0] + above - below,
  }));
}

/** The Lipschitz constant of the difference on the window, for l2 distances: its largest gradient. */
export const lipschitz = (parts) => Math.max(...parts.map(({ gradient }) => Math.hypot(...gradient)));

/** Where the polygon's difference of logits is zero: two points, or none. */
export function boundary({ corners, gradient, offset }) {
  const value = along(gradient, offset), points = [];
  corners.forEach((corner, n) => {
    const next = corners[(n + 1) % corners.length], here = value(corner), there = value(next);
    if (here * there < 0) points.push(corner.map((c, i) => c + (next[i] - c) * here / (here - there)));
  });
  return points.length === 2 ? points : [];
}
