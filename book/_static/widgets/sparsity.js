// Accuracy and robustness along the rounds of pruning: three curves with their spread over seeds.

import { choice, html, live, percent, slider, svg } from "./dom.js";

const CURVES = [
  { metric: "accuracy", title: "accuracy", says: (value) => percent(value) },
  { metric: "r_inf", title: "r∞ (FGS)", says: (value) => percent(value) },
  { metric: "r_2", title: "r₂ (DeepFool)", says: (value) => value.toFixed(3) },
];
const HEIGHT = 150, LEFT = 52, RIGHT = 14, TOP = 24, BOTTOM = 26;

const place = (sparsity) => -Math.log1p(-sparsity);

/** Stretches of rounds in which `values` are known. */
function stretches(values) {
  const found = [[]];
  values.forEach((value, n) => {
    if (value !== null) found.at(-1).push(n);
    else if (found.at(-1).length) found.push([]);
  });
  return found.filter((stretch) => stretch.length);
}

function panel({ metric, title, says }, figure, chosen, last, full) {
  const { mean, spread } = figure[metric];
  const reached = place(figure.sparsity.at(-1)) || 1;
  const across = (sparsity) => LEFT + (full - LEFT - RIGHT) * place(sparsity) / reached, x = (n) => across(figure.sparsity[n]);
  const reach = (sign) => mean.map((m, n) => m === null ? null : m + sign * (spread[n] ?? 0));
  const known = (values) => values.filter((value) => value !== null);
  const low = Math.min(...known(reach(-1))), high = Math.max(...known(reach(1)));
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low || 1);
  const path = (places, values) => places.map((n) => `${x(n).toFixed(2)},${y(values[n]).toFixed(2)}`);
  const drawing = svg("g", {});
  for (const level of [low, high]) {
    drawing.append(svg("line", { x1: LEFT, x2: full - RIGHT, y1: y(level), y2: y(level), class: "rule" }),
      svg("text", { x: LEFT - 6, y: y(level) + 5, "text-anchor": "end" }, says(level)));
  }
  for (const stretch of stretches(mean)) {
    const band = [...path(stretch, reach(1)), ...path(stretch, reach(-1)).reverse()];
    drawing.append(svg("polygon", { points: band.join(" "), class: "band" }),
      svg("polyline", { points: path(stretch, mean).join(" "), class: "curve" }));
  }
  drawing.append(svg("line", { x1: x(chosen), x2: x(chosen), y1: TOP, y2: HEIGHT - BOTTOM, class: "marker" }));
  if (mean[chosen] !== null) drawing.append(svg("circle", { cx: x(chosen), cy: y(mean[chosen]), r: 5, class: "marker" }));
  drawing.append(svg("text", { x: LEFT, y: 14, class: "title" }, title));
  if (last) for (const sparsity of full < 400 ? [0, 0.9, 0.99, 0.999] : [0, 0.5, 0.9, 0.99, 0.999]) {
    if (place(sparsity) > reached * 1.001) continue;
    drawing.append(svg("text", { x: across(sparsity), y: HEIGHT - 6, "text-anchor": "middle" }, percent(sparsity, sparsity > 0.99 ? 1 : 0)));
  }
  return drawing;
}

export default function draw(box, figures) {
  const titles = Object.keys(figures), picture = html("div"), values = live(), control = html("div");
  const full = Math.min(Math.max(box.clientWidth, 300), 640); // so that letters keep their size on a phone
  let figure = figures[titles[0]], chosen = 0;

  const value = ({ metric, title, says }) => {
    const { mean, spread } = figure[metric];
    if (mean[chosen] === null) return `${title} unbounded, as the attack fails on some digit`;
    return `${title} ${says(mean[chosen])}${spread[chosen] === null ? "" : ` ± ${says(spread[chosen])}`}`;
  };
  const show = () => {
    const panels = CURVES.map((curve, n) => {
      const drawing = panel(curve, figure, chosen, n === CURVES.length - 1, full);
      drawing.setAttribute("transform", `translate(0 ${n * HEIGHT})`);
      return drawing;
    });
    picture.replaceChildren(svg("svg", { viewBox: `0 0 ${full} ${CURVES.length * HEIGHT}`, role: "img",
      "aria-label": "Accuracy, r∞ and r₂ over sparsity, with the spread over seeds; the values stand below." }, ...panels));
    values.textContent = `After round ${figure.rounds[chosen]}, at sparsity ${percent(figure.sparsity[chosen])}: `
      + `${CURVES.map(value).join("; ")} (mean ± standard deviation over ${figure.seeds} seeds).`;
  };
  const choose = (place) => {
    figure = figures[titles[place]];
    chosen = figure.r_inf.mean.indexOf(Math.max(...figure.r_inf.mean));
    control.replaceChildren(slider("Round of pruning", { min: 0, max: figure.rounds.length - 1, step: 1, value: chosen,
      words: (n) => `${figure.rounds[n]} (${percent(figure.sparsity[n])} sparse)`, changed: (n) => { chosen = n; show(); } }));
    show();
  };
  box.replaceChildren(choice("Experiment", "sparsity-figure", titles, choose), control, picture, values);
  choose(0);
}
