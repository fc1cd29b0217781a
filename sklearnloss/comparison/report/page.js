"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // -- light and dark ---------------------------------------------------------------------------------------------------

  const theme = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const name = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  system.addEventListener("change", name);
  name();

  // -- sorting ----------------------------------------------------------------------------------------------------------

  const words = new Intl.Collator("en", { numeric: true });

  function sort(table, head, column) {
    const opposite = { ascending: "descending", descending: "ascending" };
    const order = opposite[head.getAttribute("aria-sort")] ?? head.dataset.first;
    const sign = order === "ascending" ? 1 : -1;
    const text = head.dataset.kind === "text";
    const keys = new Map([...table.tBodies[0].rows].map((row) => [row, row.cells[column].dataset.value]));
    const compare = (a, b) => {
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined); // missing last, either way
      return sign * (text ? words.compare(a, b) : a - b);
    };
    all("[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    table.tBodies[0].append(...[...keys.keys()].sort((a, b) => compare(keys.get(a), keys.get(b))));
  }

  for (const table of all("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, column));
    });
  }

  // -- losses lifted out of the charts, the same in all of them ---------------------------------------------------------

  function lift(place, on) {
    for (const box of all(`input[data-series="${place}"]`)) {
      box.checked = on;
      box.closest("li").classList.toggle("on", on);
    }
    for (const mark of all(`g[data-series="${place}"]`)) {
      mark.classList.toggle("on", on);
      if (on) mark.parentNode.append(mark); // above the others
    }
  }

  for (const box of all("input[data-series]")) {
    box.addEventListener("change", () => lift(box.dataset.series, box.checked));
  }

  // -- copying ----------------------------------------------------------------------------------------------------------

  function select(node) {
    const range = document.createRange();
    range.selectNodeContents(node);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }

  async function copy(node) {
    try {
      await navigator.clipboard.writeText(node.textContent);
      return true;
    } catch { // not allowed for this page: the old way, which leaves the text selected
      select(node);
      return document.execCommand("copy");
    }
  }

  for (const button of all("[data-copy]")) {
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy));
      button.nextElementSibling.textContent = done ? "Copied" : "Selected: press Ctrl+C";
      setTimeout(() => { button.nextElementSibling.textContent = ""; }, 4000);
    });
  }

  // -- printing: nothing stays folded -----------------------------------------------------------------------------------

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
})();
