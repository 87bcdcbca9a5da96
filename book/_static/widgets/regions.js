// A small ReLU network while its weights are pruned one by one: activation regions and Lipschitz constant.

import { html, live, slider } from "./dom.js";
import { boundary, lipschitz, pruned, regions } from "./polygons.js";

const SIZE = 768;

const TURNS = [80, 130, 190, 250, 110, 170, 60, 220]; // degrees of hue for each unit: neighbours differ in one, or few

/** A colour for each pattern of active units, the same however many regions there are. */
const colour = (pattern) => `hsl(${TURNS.reduce((hue, turn, unit) => hue + turn * pattern[unit], 0) % 360} 50% 68%)`;

function paint(context, parts, window) {
  const place = ([x, y]) => [SIZE * (x + window) / (2 * window), SIZE * (window - y) / (2 * window)];
  context.clearRect(0, 0, SIZE, SIZE);
  Object.assign(context, { lineWidth: 2, strokeStyle: "#555", lineCap: "round" });
  for (const { corners, pattern } of parts) {
    context.beginPath();
    corners.forEach((corner) => context.lineTo(...place(corner)));
    context.closePath();
    context.fillStyle = colour(pattern);
    context.fill();
    context.stroke();
  }
  Object.assign(context, { lineWidth: 7, strokeStyle: "#000" });
  for (const points of parts.map(boundary)) {
    context.beginPath();
    points.forEach((point) => context.lineTo(...place(point)));
    context.stroke();
  }
}

export default function draw(box, network) {
  const { order, window } = network, said = live();
  const canvas = html("canvas", { width: SIZE, height: SIZE, class: "regions", role: "img" }), context = canvas.getContext("2d");
  const show = (count) => {
    const parts = regions(pruned(network, count), window);
    paint(context, parts, window);
    said.textContent = `${order.length - count} of ${order.length} weights left: ${parts.length} activation `
      + `region${parts.length === 1 ? "" : "s"}, Lipschitz constant ${lipschitz(parts).toFixed(3)}.`;
    canvas.setAttribute("aria-label", `Activation regions in the square; the black line parts the classes. ${said.textContent}`);
  };
  box.replaceChildren(slider("Weights pruned", { min: 0, max: order.length, step: 1, value: 0,
    words: (count) => `${count} of ${order.length}`, changed: show }), canvas, said);
  show(0);
}
