// A printed page has no buttons to press: open every folded part before printing, and fold again afterwards.
// sphinx-togglebutton does so for its own parts; proofs and hidden cells are plain <details>.
(() => {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open], .toggle-details)")];
    opened.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((part) => { part.open = false; });
    opened = [];
  });
})();

// What scrolls inside itself can be reached and scrolled from the keyboard: tables, formulas, code, outputs.
(() => {
  const boxes = ".pst-scrollable-table-container, mjx-container[display=true], div.math, pre, div.cell_output, .sd-card-body";
  const reachable = () => {
    document.querySelectorAll(boxes).forEach((box) => {
      if (box.scrollWidth > box.clientWidth + 1) box.setAttribute("tabindex", "0");
      else if (box.getAttribute("tabindex") === "0") box.removeAttribute("tabindex");
    });
  };
  addEventListener("load", () => {
    const formulas = window.MathJax?.startup?.promise ?? Promise.resolve();
    formulas.then(reachable);
  });
  addEventListener("resize", reachable);
})();

// A list of references is no list to a screen reader as long as its entries are not list items.
addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".citation-list[role]").forEach((list) => list.removeAttribute("role"));
});

// A link to a claim unfolds it.
(() => {
  const unfold = () => {
    const claim = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (claim instanceof HTMLDetailsElement) claim.open = true;
  };
  addEventListener("DOMContentLoaded", unfold);
  addEventListener("hashchange", unfold);
})();

// Search results quote pages as plain text: formulas there are written in letters.
addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const letters = { infty: "∞", le: "≤", leq: "≤", ge: "≥", geq: "≥", neq: "≠", epsilon: "ε", varepsilon: "ε", mu: "μ", sigma: "σ",
    kappa: "κ", gamma: "γ", alpha: "α", beta: "β", eta: "η", xi: "ξ", nu: "ν", pi: "π", rho: "ρ", delta: "δ", Delta: "Δ",
    lambda: "λ", theta: "θ", phi: "φ", cdot: "·", times: "×", to: "→", in: "∈", sum: "Σ", prod: "Π", sqrt: "√", ell: "ℓ" };
  const plain = (_, formula) => formula
    .replace(/\\([a-zA-Z]+)/g, (command, name) => letters[name] ?? (/^(min|max|log|exp|arg)/.test(name) ? name : " "))
    .replace(/\\.|[{}&]/g, " ").replace(/_ /g, "_").replace(/ +/g, " ");
  const words = Search.htmlToText;
  Search.htmlToText = (...page) => words(...page)?.replace(/\\[([]([\s\S]*?)\\[)\]]/g, plain);
});

// An interactive figure loads its script when a reader comes near; until then, and without it, its fallback stands.
addEventListener("DOMContentLoaded", () => {
  const near = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach(async ({ target }) => {
      near.unobserve(target);
      const data = JSON.parse(target.querySelector("script[type='application/json']").textContent);
      const { default: draw } = await import(`./widgets/${target.dataset.widget}.js`);
      draw(target, data);
      target.dataset.ready = "";
    });
  }, { rootMargin: "400px" });
  document.querySelectorAll("[data-widget]").forEach((box) => near.observe(box));
});
