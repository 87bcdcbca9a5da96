// A printed page has no buttons to press: open every folded part before printing, fold again what was folded after.
(() => {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((part) => { part.open = true; });
    document.querySelectorAll(".toggle-hidden").forEach((part) => {
      part.classList.remove("toggle-hidden");
      opened.push(part);
    });
  });
  addEventListener("afterprint", () => {
    opened.forEach((part) => {
      if (part.tagName === "DETAILS") part.open = false;
      else part.classList.add("toggle-hidden");
    });
    opened = [];
  });
})();
