// Digits of 28 by 28 pixels in [0, 1]: read from bytes, shown, and drawn by a reader.

import { html } from "./dom.js";

export const SIDE = 28;
const INNER = 20; // as in MNIST: a digit fills 20 pixels, and its centre of mass lies in the middle

/** Pixels from uint8 in base64. */
export const decode = (text) => Float64Array.from(atob(text), (byte) => byte.charCodeAt(0) / 255);

/** A canvas with the digit in ink on white; what lies outside [0, 1] is shown as the nearer end. */
export function picture(pixels, words) {
  const canvas = html("canvas", { width: SIDE, height: SIDE, class: "digit", role: "img", "aria-label": words });
  const context = canvas.getContext("2d"), image = context.createImageData(SIDE, SIDE);
  pixels.forEach((value, n) => image.data.set([...Array(3).fill(255 * (1 - Math.min(Math.max(value, 0), 1))), 255], 4 * n));
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The drawing as a digit of MNIST: cropped, scaled to 20 pixels and centred; null if nothing is drawn. */
function digit(canvas) {
  const ink = (source, size) => {
    const bytes = source.getContext("2d").getImageData(0, 0, size, size).data;
    return Float64Array.from({ length: size * size }, (_, n) => bytes[4 * n + 3] / 255);
  };
  const size = canvas.width, drawn = ink(canvas, size), rows = [], columns = [];
  drawn.forEach((value, n) => { if (value > 0.1) { rows.push(Math.floor(n / size)); columns.push(n % size); } });
  if (!rows.length) return null;
  const span = (places) => places.reduce(([low, high], p) => [Math.min(low, p), Math.max(high, p)], [size, 0]);
  const [top, bottom] = span(rows), [left, right] = span(columns);
  const height = bottom - top + 1, width = right - left + 1, scale = INNER / Math.max(height, width);
  const total = drawn.reduce((a, b) => a + b, 0);
  const centre = (coordinate) => drawn.reduce((sum, value, n) => sum + value * coordinate(n), 0) / total + 0.5;
  const x = SIDE / 2 - scale * (centre((n) => n % size) - left), y = SIDE / 2 - scale * (centre((n) => Math.floor(n / size)) - top);
  const small = html("canvas", { width: SIDE, height: SIDE }), context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, left, top, width, height, x, y, width * scale, height * scale);
  return ink(small, SIDE);
}

/** A pad to draw on with mouse, pen or finger; `drawn` gets the pixels after each stroke. */
export function pad(drawn) {
  const canvas = html("canvas", { width: 280, height: 280, class: "pad", role: "img", "aria-label": "Pad for drawing a digit" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(context, { lineWidth: 22, lineCap: "round", lineJoin: "round" });
  const place = (event) => [event.offsetX * canvas.width / canvas.clientWidth, event.offsetY * canvas.height / canvas.clientHeight];
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    context.beginPath();
    context.moveTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    context.lineTo(...place(event));
    context.stroke();
  });
  canvas.addEventListener("pointerup", () => { const pixels = digit(canvas); if (pixels) drawn(pixels); });
  const clear = html("button", { type: "button", onclick: () => context.clearRect(0, 0, canvas.width, canvas.height) }, "Clear");
  return html("div", {}, canvas, clear);
}
