// The confusion matrix, cost against score, and the figures.
const emotions = Object.keys(data.emotions);
const seen = { judge: wanted.judge, arm: (data.arms.find((arm) => arm.guided.length) ?? data.arms[data.arms.length - 1]).name };

function matrix() {
  const counts = data.confusion[seen.judge]?.[seen.arm];
  if (!counts) return byId("matrix").replaceChildren(make("p", { class: "none" }, "This judge has read none of its pictures."));
  const heads = emotions.map((name) => make("th", { scope: "col" }, make("span", {}, name)));
  const rows = Object.entries(counts).map(([target, row]) => {
    const sum = Object.values(row).reduce((a, b) => a + b, 0);
    const cells = emotions.map((name) => {
      const share = sum ? (100 * row[name]) / sum : 0;
      const cell = make("td", { class: share > 55 ? "deep" : null, title: `${row[name]} of ${sum} read as ${name}` }, row[name] ? share.toFixed(0) : "");
      cell.style.setProperty("--share", String(share));
      return cell;
    });
    return make("tr", {}, make("th", { scope: "row" }, dot(target), target), cells);
  });
  byId("matrix").replaceChildren(make("table", { class: "matrix" }, make("thead", {}, make("tr", {}, make("th"), heads)), make("tbody", {}, rows)));
}

const SVG = "http://www.w3.org/2000/svg";
function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const first = data.tables[0];
const costs = first.columns.filter((column) => column.kind === "cost").map((column) => column.name);
const scores = first.columns.filter((column) => column.kind !== "cost").map((column) => column.name);
const known = (column) => first.rows.some((row) => row.cells[first.columns.findIndex((one) => one.name === column)].ends[0] !== null);
const axes = { cost: costs.find((name) => name !== "gradients" && known(name)), score: scores.includes(wanted.judge) ? wanted.judge : scores[0] };

function chart() {
  const width = Math.max(320, Math.min(760, byId("chart").clientWidth));
  const [height, left, right, top, bottom] = [Math.max(300, 0.53 * width), 48, 110, 12, 44];
  const column = (name) => first.columns.findIndex((one) => one.name === name);
  const points = first.rows.map((row) => ({ name: row.arm, x: row.cells[column(axes.cost)].ends[0], y: row.cells[column(axes.score)].ends, text: row.cells[column(axes.score)].text }))
    .filter((point) => point.x !== null && point.y[0] !== null);
  if (!points.length) return byId("chart").replaceChildren(make("p", { class: "none" }, "No record tells this cost."));
  const percent = first.columns[column(axes.score)].show.endsWith("%");
  const ys = points.flatMap((point) => point.y).filter((y) => y !== null);
  let [low, high] = [Math.min(...ys), Math.max(...ys)];
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  [low, high] = [low - pad, high + pad];
  if (percent && Math.min(...ys) >= 0) low = Math.max(low, 0); // no share lies below it
  const xs = points.map((point) => Math.log10(Math.max(point.x, 1e-3)));
  const [least, most] = [Math.min(...xs) - 0.12, Math.max(...xs) + 0.12];
  const across = (x) => left + ((Math.log10(Math.max(x, 1e-3)) - least) / (most - least)) * (width - left - right);
  const up = (y) => top + ((high - y) / (high - low)) * (height - top - bottom);
  const svg = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${axes.score} against ${axes.cost} a picture` });
  for (const y of ticks(low, high, 5)) svg.append(draw("line", { class: "axis", x1: left, x2: width - right, y1: up(y), y2: up(y) }), draw("text", { x: left - 8, y: up(y) + 4, "text-anchor": "end" }, percent ? `${(100 * y).toFixed(0)}%` : round(y)));
  for (let power = Math.floor(least); power <= most; power++) for (const digit of most - least > 2 ? [1] : [1, 2, 5]) {
    const x = digit * 10 ** power;
    if (Math.log10(x) >= least && Math.log10(x) <= most) svg.append(draw("text", { x: across(x), y: height - bottom + 20, "text-anchor": "middle" }, round(x)));
  }
  svg.append(draw("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, `${axes.cost} a picture, logarithmic`));
  const labels = [];
  for (const point of [...points].sort((a, b) => up(a.y[0]) - up(b.y[0]))) {
    const [mean, least_, most_] = point.y, x = across(point.x);
    if (least_ !== null) svg.append(draw("line", { class: "err", x1: x, x2: x, y1: up(least_), y2: up(most_) }));
    const dotted = draw("circle", { cx: x, cy: up(mean), r: 5 });
    dotted.append(draw("title", {}, `${point.name}: ${point.text} at ${round(point.x)} ${axes.cost}`));
    let y = up(mean) + 4;
    while (labels.some((other) => Math.abs(other.y - y) < 13 && Math.abs(other.x - x) < 110)) y += 13;
    labels.push({ x, y });
    svg.append(dotted, draw("text", { class: "name", x: x + 10, y }, point.name));
  }
  byId("chart").replaceChildren(svg);
}

const round = (value) => String(Number(value.toPrecision(3)));
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= rough);
  return Array.from({ length: count + 2 }, (_, i) => (Math.ceil(low / step) + i) * step).filter((y) => y <= high);
}

const needs = { confusion: data.judges.length > 0, cost: Boolean(axes.cost) && scores.length > 0, figures: data.figures.length > 0 };
for (const [name, there] of Object.entries(needs)) {
  byId(name).hidden = !there;
  document.querySelector(`[data-needs="${name}"]`).hidden = !there;
}
if (needs.confusion) {
  const judge = choice("Judge", data.judges, (name) => { seen.judge = name; matrix(); });
  const arm = choice("Arm", data.arms.map((one) => one.name), (name) => { seen.arm = name; matrix(); });
  judge.querySelector("select").value = seen.judge;
  arm.querySelector("select").value = seen.arm;
  byId("confusion-choices").append(judge, arm);
  matrix();
}
if (needs.cost) {
  const score = choice("Score", scores, (name) => { axes.score = name; chart(); });
  const cost = choice("Cost", costs.filter(known), (name) => { axes.cost = name; chart(); });
  score.querySelector("select").value = axes.score;
  cost.querySelector("select").value = axes.cost;
  byId("cost-choices").append(score, cost);
  chart();
  window.addEventListener("resize", chart);
}
for (const figure of data.figures) byId("plates").append(make("figure", { class: "plate" }, make("figcaption", {}, figure.title), make("img", { src: figure.src, alt: figure.title })));
