// The carried networks and the package's attacks on them, in float64: sparse_robust.book.playground, attacks.fgs
// and attacks.deepfool say what is computed here; a test compares the two.

const ULPS = 16; // as attacks.linear_model: nearer to a boundary than so many rounding errors counts as that far

/** The layers of `network`, as networks.json places them in the bytes of networks.bin. */
export function unpack(network, buffer) {
  return network.layers.map(({ shape: [outputs, inputs], weights, scales, biases }) => {
    const scale = new Float32Array(buffer, scales, outputs);
    const whole = new Int8Array(buffer, weights, outputs * inputs);
    return { outputs, inputs, weights: Float64Array.from(whole, (value, n) => value * scale[Math.floor(n / inputs)]),
      biases: Float64Array.from(new Float32Array(buffer, biases, outputs)) };
  });
}

function forward(layers, x) {
  const values = [x];
  layers.forEach(({ outputs, inputs, weights, biases }, depth) => {
    const z = Float64Array.from(biases), a = values.at(-1), last = depth === layers.length - 1;
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) z[o] += weights[o * inputs + i] * a[i];
      if (!last) z[o] = Math.max(z[o], 0);
    }
    values.push(z);
  });
  return values;
}

/** The gradient, at the point whose `values` are given, of the logits weighted by `weight`. */
function backward(layers, values, weight) {
  let v = weight;
  for (let depth = layers.length - 1; depth >= 0; depth--) {
    const { outputs, inputs, weights } = layers[depth], below = new Float64Array(inputs);
    for (let o = 0; o < outputs; o++) {
      if (v[o] !== 0) for (let i = 0; i < inputs; i++) below[i] += weights[o * inputs + i] * v[o];
    }
    v = depth ? below.map((value, i) => values[depth][i] > 0 ? value : 0) : below;
  }
  return v;
}

export const logits = (layers, x) => forward(layers, x).at(-1);
export const read = (layers, x) => largest(logits(layers, x));
const largest = (values) => values.indexOf(Math.max(...values));
const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** Fast gradient sign: one step of radius `eps` in every pixel, clipped to [0, 1]. */
export function fgs(layers, x, label, eps) {
  const values = forward(layers, x), z = values.at(-1);
  const others = z.map((value, k) => k === label ? -Infinity : value), top = Math.max(...others);
  const share = others.map((value) => Math.exp(value - top)), sum = share.reduce((a, b) => a + b, 0);
  const gradient = backward(layers, values, share.map((value, k) => k === label ? -1 : value / sum));
  return x.map((value, i) => Math.min(Math.max(value + eps * Math.sign(gradient[i]), 0), 1));
}

/** The shortest step to a boundary of class `label` in the model linearised at x; null if none can be reached. */
function nearestCrossing(layers, x, label) {
  const values = forward(layers, x), z = values.at(-1), size = Math.max(...z.map(Math.abs)), length = norm(x);
  let shortest = Infinity, nearest = null;
  z.forEach((logit, k) => {
    if (k === label) return;
    const normal = backward(layers, values, z.map((_, j) => (j === k) - (j === label)));
    const slope = norm(normal);
    if (slope === 0) return;
    const gap = Math.max(z[label] - logit, ULPS * Number.EPSILON * (size + slope * length));
    if (gap / slope < shortest) {
      shortest = gap / slope;
      nearest = normal.map((value) => value * shortest / slope);
    }
  });
  return nearest;
}

/** DeepFool without a box, as in the paper: the point reached and its l2 distance, infinite if the class holds. */
export function deepfool(layers, x, label, { steps = 50, overshoot = 0.02 } = {}) {
  let reached = x, total = new Float64Array(x.length);
  for (let n = 0; n < steps && read(layers, reached) === label; n++) {
    const step = nearestCrossing(layers, reached, label);
    if (step === null) break;
    total = total.map((value, i) => value + step[i]);
    reached = x.map((value, i) => value + (1 + overshoot) * total[i]);
  }
  const flipped = read(layers, reached) !== label;
  return { image: reached, distance: flipped ? norm(reached.map((value, i) => value - x[i])) : Infinity };
}
