// What the interactive figures share: elements, native controls with labels, and a line that is read aloud.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}\u202f%`;

/** A labelled slider; `changed` gets the number, `words` say it to a screen reader and beside the slider. */
export function slider(label, { min, max, step, value, words, changed }) {
  const output = html("output", {}, words(value));
  const input = html("input", { type: "range", min, max, step, value, "aria-valuetext": words(value) });
  input.addEventListener("input", () => {
    const chosen = Number(input.value);
    output.textContent = words(chosen);
    input.setAttribute("aria-valuetext", words(chosen));
    changed(chosen);
  });
  return html("label", { class: "control" }, html("span", {}, label), input, output);
}

/** A group of radio buttons, the first one chosen; `changed` gets the place of what is chosen. */
export function choice(label, name, options, changed) {
  const buttons = options.map((option, place) => html("label", {},
    html("input", { type: "radio", name, value: place, checked: place === 0, onchange: () => changed(place) }), ` ${option}`));
  return html("fieldset", {}, html("legend", {}, label), ...buttons);
}

/** A paragraph that a screen reader reads whenever it changes. */
export const live = () => html("p", { "aria-live": "polite", class: "live" });
