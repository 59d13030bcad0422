// The tables, sorted by any column, and how each arm was made.
const sorting = { column: -1, falling: true };

function results(number) {
  const table = data.tables[number];
  const rows = [...table.rows];
  if (sorting.column >= 0) {
    const value = (row) => row.cells[sorting.column]?.ends[0] ?? -Infinity;
    rows.sort((a, b) => (value(b) - value(a)) * (sorting.falling ? 1 : -1));
  }
  const heads = table.columns.map((column, place) => make("th", {
    scope: "col",
    "aria-sort": place === sorting.column ? (sorting.falling ? "descending" : "ascending") : null,
  }, make("button", { type: "button", click: () => sortBy(number, place) }, column.name)));
  const body = rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.arm,
    make("small", {}, many(row.pictures, "picture"))), row.cells.map((cell, place) => shown(cell, table, place))));
  byId("table").replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }), heads)), make("tbody", {}, body)));
}

function sortBy(number, place) {
  if (sorting.column === place) sorting.falling = !sorting.falling;
  else Object.assign(sorting, { column: place, falling: true });
  results(number);
  byId("table").querySelectorAll("thead button")[place].focus();
}

/** A number, its interval below, and where that lies among those of all arms. */
function shown(cell, table, place) {
  const [mean, low, high] = cell.ends;
  if (mean === null) return make("td", { class: "none" }, "–");
  const [number, rest] = cell.text.split(" [");
  const starred = cell.text.endsWith("*");
  const inside = [number.replace(/ \*$/, ""), starred ? make("sup", { title: "this judge also guided" }, "*") : null];
  if (low !== null) {
    const ends = table.rows.flatMap((row) => row.cells[place].ends).filter((end) => end !== null);
    const [least, most] = [Math.min(...ends), Math.max(...ends)];
    const at = (value) => `${most > least ? (100 * (value - least)) / (most - least) : 50}%`;
    const reach = make("i"), middle = make("b");
    reach.style.left = at(low);
    reach.style.width = `calc(${at(high)} - ${at(low)})`;
    middle.style.left = at(mean);
    inside.push(make("span", { class: "range" }, rest.replace(/\].*/, "").replace(", ", " – ")),
      make("span", { class: "whisker", "aria-hidden": "true" }, reach, middle));
  }
  return make("td", {}, inside);
}

const tabs = data.tables.map((table, number) => make("button", {
  type: "button", class: "chip", role: "tab", "aria-selected": String(number === 0),
  click: (event) => {
    tabs.forEach((tab) => tab.setAttribute("aria-selected", String(tab === event.currentTarget)));
    sorting.column = -1;
    results(number);
  },
}, table.title));
byId("tabs").append(...tabs);
byId("tabs").hidden = tabs.length < 2;
results(0);

const lines = data.arms.map((arm) => make("tr", {},
  make("th", { scope: "row" }, arm.name),
  make("td", {}, make("code", {}, arm.words), arm.prompt === "{prompt}" ? null : make("div", {}, `prompt: ${arm.prompt}`)),
  make("td", {}, arm.guided.join(", ") || "–"),
  make("td", {}, `${arm.pictures}${arm.failed ? `, ${arm.failed} failed` : ""}`)));
byId("made").append(make("table", {}, make("thead", {}, make("tr", {}, ["", "Options of muse fit-free", "Guided by", "Pictures"]
  .map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, lines)));
