// What all parts of the page use: the data, a maker of elements, light and dark.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** An element: its attributes (functions listen, `c` is its colour), and what is in it. */
function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "c") element.style.setProperty("--c", value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...inside.flat().filter((part) => part !== null && part !== undefined));
  return element;
}

/** A choice of one among names, with its label. */
function choice(label, names, chosen) {
  const list = make("select", { change: () => chosen(list.value) });
  for (const name of names) list.append(make("option", { value: name }, name));
  return make("label", { class: "field" }, label, list);
}

const many = (count, name) => `${count} ${name}${count === 1 ? "" : "s"}`;
const image = (number, text) => make("img", { src: data.images[number], alt: text, loading: "lazy", decoding: "async" });
const dot = (emotion) => make("span", { class: "dot", c: data.emotions[emotion] ?? "" });

const preferred = window.matchMedia("(prefers-color-scheme: dark)");
const paint = (dark) => { document.documentElement.dataset.theme = dark ? "dark" : "light"; };
paint(preferred.matches);
preferred.addEventListener("change", (event) => paint(event.matches));
byId("theme").addEventListener("click", () => paint(document.documentElement.dataset.theme !== "dark"));

byId("title").textContent = data.title;
byId("about").textContent = data.about;
for (const line of data.remarks) byId("remarks").append(make("li", {}, line));
byId("versions").textContent = Object.entries(data.versions).map(([name, version]) => `${name} ${version}`).join(" · ");
