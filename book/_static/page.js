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
