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
