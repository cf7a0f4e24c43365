"use strict";
(() => {
  const form = document.getElementById("filter");
  const found = document.getElementById("found");
  const said = document.getElementById("said");
  const parts = [...document.querySelectorAll("[data-search]")].map((at) => ({ at, words: at.textContent.toLowerCase() }));
  const levels = [...form.elements.level.options].map((option) => option.value);

  const filter = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter((word) => word);
    const level = form.elements.level.selectedIndex;
    const outcome = form.elements.outcome.value;
    for (const { at, words: own } of parts) {
      at.hidden = !words.every((word) => own.includes(word))
        || levels.indexOf(at.dataset.level) < level
        || (outcome !== "" && "outcome" in at.dataset && at.dataset.outcome !== outcome);
    }
    const all = parts.filter(({ at }) => at.localName === "article");
    found.value = `${all.filter(({ at }) => !at.hidden).length} of ${all.length} incidents`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  const copy = async (from) => {
    const range = document.createRange();
    range.selectNodeContents(from);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try {
      await navigator.clipboard.writeText(from.textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "Selected; copy it with the keyboard.";
    }
  };
  for (const code of document.querySelectorAll(".command code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => copy(code));
    code.parentElement.after(button);
  }

  const open = () => {
    const at = document.getElementById(location.hash.slice(1));
    if (at === null) return;
    at.hidden = false;
    at.querySelector("details")?.setAttribute("open", "");
    at.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((at) => { at.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((at) => { at.open = false; }));
})();
