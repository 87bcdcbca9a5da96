// Attack three networks side by side: a digit of the test set or one's own, by FGS and by DeepFool.

import { decode, pad, picture } from "./digits.js";
import { choice, html, live, percent, slider } from "./dom.js";
import { deepfool, fgs, read, unpack } from "./network.js";

const ARRAYS = new URL("../playground/networks.bin", import.meta.url);

function shown(pixels, title, verdict, fooled) {
  return html("figure", {}, picture(pixels, `${title}: ${verdict}`),
    html("figcaption", {}, title, html("br"), html("span", { class: fooled ? "fooled" : "held" }, verdict)));
}

/** A network's reading of the digit before and after both attacks, as a column and as a sentence. */
function attacked(network, layers, x, label, eps) {
  const before = read(layers, x), truth = label ?? before;
  const step = fgs(layers, x, truth, eps), far = deepfool(layers, x, truth);
  const after = read(layers, step), beyond = read(layers, far.image);
  const distance = Number.isFinite(far.distance) ? far.distance.toFixed(2) : "∞";
  const column = html("section", {}, html("h4", {}, `${network.name} (${percent(network.sparsity)} sparse)`),
    html("div", { class: "pictures" }, shown(x, "digit", `read as ${before}`, before !== truth),
      shown(step, "FGS", `read as ${after}`, after !== truth),
      shown(far.image, "DeepFool", `read as ${beyond} at ${distance}`, beyond !== truth)));
  const words = `${network.name}: ${before}, after FGS ${after}, after DeepFool ${beyond} at distance ${distance}`;
  return { column, words };
}

export default function draw(box, { digits, labels, networks }) {
  const results = html("div", { class: "results" }), said = live(), start = { x: decode(digits[0]), label: labels[0] };
  let { x, label } = start, eps = 0.1, loading = null;

  const show = async () => {
    loading ??= fetch(ARRAYS).then((answer) => {
      if (!answer.ok) throw new Error(`${ARRAYS}: ${answer.status}`);
      return answer.arrayBuffer();
    }).then((buffer) => networks.map((network) => unpack(network, buffer)));
    said.textContent ||= "Loading the networks …";
    let layers;
    try {
      layers = await loading;
    } catch (error) {
      loading = null;
      said.textContent = `The networks could not be loaded (${error.message}). Choose a digit to try again.`;
      return;
    }
    const outcomes = networks.map((network, n) => attacked(network, layers[n], x, label, eps));
    results.replaceChildren(...outcomes.map(({ column }) => column));
    said.textContent = `${outcomes.map(({ words }) => words).join("; ")}.`;
  };
  const pick = (pixels, truth) => { x = pixels; label = truth; show(); };

  box.replaceChildren(
    choice("Digit of the test set", "attack-digit", labels, (n) => pick(decode(digits[n]), labels[n])),
    html("details", {}, html("summary", {}, "Draw a digit of your own"),
      html("p", {}, "What a network reads at first counts as the truth here."), pad((pixels) => pick(pixels, null))),
    slider("ε of FGS", { min: 0, max: 0.5, step: 0.01, value: eps, words: (value) => value.toFixed(2),
      changed: (value) => { eps = value; show(); } }),
    html("button", { type: "button", onclick: show }, "Attack"), results, said);
  results.append(picture(x, `A ${label} of the test set`));
}
