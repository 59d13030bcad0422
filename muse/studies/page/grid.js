// The grid's page: the size of its pictures, and one of them large, with how it came to be.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const sheet = document.querySelector(".sheet");
const cells = [...sheet.querySelectorAll("a")];
const box = byId("close-up");
let open = null;

function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...inside.flat().filter((part) => part !== null));
  return element;
}

byId("tools").hidden = false;
byId("size").addEventListener("input", (event) => {
  sheet.style.setProperty("--tile", `${event.target.value}px`);
  sheet.classList.toggle("tiny", event.target.value < 72);
});
const preferred = window.matchMedia("(prefers-color-scheme: dark)");
const paint = (dark) => { document.documentElement.dataset.theme = dark ? "dark" : "light"; };
paint(preferred.matches);
preferred.addEventListener("change", (event) => paint(event.matches));
byId("theme").addEventListener("click", () => paint(document.documentElement.dataset.theme !== "dark"));

function closeUp(link) {
  open = link;
  const told = data[Number(link.dataset.cell)];
  const read = Object.entries(told.record.probabilities ?? {}).sort((one, other) => other[1] - one[1]).slice(0, 4);
  const rows = read.map(([name, share]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, `${(100 * share).toFixed(0)} %`)));
  const sub = `${told.reading ? told.reading[0] : ""} · ${told.arm}`;
  box.replaceChildren(
    make("div", { class: "close-up" },
      make("figure", { class: "large" }, make("img", { src: link.querySelector("img").src, alt: told.prompt })),
      make("div", {}, make("h3", {}, told.prompt), make("p", { class: "sub" }, sub),
        make("table", { "aria-label": "As the guide reads it" }, make("tbody", {}, rows)),
        make("details", { open: "" }, make("summary", {}, "It alone"), make("pre", { class: "command" }, told.command)),
        make("details", {}, make("summary", {}, "Its record"), make("pre", {}, JSON.stringify(told.record, null, 1))))),
    make("div", { class: "walk" },
      make("span", { class: "hint" }, "arrow keys walk, Esc closes"),
      make("button", { type: "button", class: "chip", click: () => box.close() }, "Close")));
  if (!box.open) box.showModal();
  box.focus();
}

/** To the next picture, so many columns to the right and rows down. */
function walk(across, down) {
  const place = (link) => [link.closest("td").cellIndex, link.closest("tr").sectionRowIndex];
  const rows = sheet.querySelector("tbody").rows;
  let [x, y] = place(open);
  do {
    x += across;
    y += down;
    const next = rows[y]?.cells[x]?.querySelector("a");
    if (next) return closeUp(next);
  } while (rows[y]?.cells[x]);
}

for (const link of cells) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab was wanted
    event.preventDefault();
    closeUp(link);
  });
}
box.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (steps[event.key] && !event.target.closest("pre")) { event.preventDefault(); walk(...steps[event.key]); }
});
box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
box.addEventListener("close", () => open?.focus());
