// One picture, large, with what judges read in it and its record; arrow keys walk on.
const box = byId("close-up");
const open = { arm: "", job: null };

function closeUp(arm, job) {
  Object.assign(open, { arm, job });
  const shot = shotOf(arm, job);
  const others = [job.source === null ? null : ["source", job.source]];
  if (arm !== data.base && shotOf(data.base, job)) others.push([data.base, shotOf(data.base, job).image]);
  const beside = others.filter(Boolean).map(([name, number]) => make("figure", {}, image(number, name), make("figcaption", {}, name)));
  const reads = Object.entries(shot.reads).map(([judge, [read, share, right]]) => make("tr", {},
    make("th", { scope: "row" }, judge), make("td", { class: right ? "yes" : "no" }, read), make("td", {}, `target ${(100 * share).toFixed(0)}%`)));
  const values = Object.entries(shot.values).map(([name, value]) => make("tr", {}, make("th", { scope: "row", colspan: 2 }, name), make("td", {}, value)));
  const record = Object.keys(shot.record).length ? make("details", {}, make("summary", {}, "Its record"), make("pre", {}, JSON.stringify(shot.record, null, 1))) : null;
  box.replaceChildren(
    make("div", { class: "close-up" },
      make("div", {}, make("figure", { class: "large" }, image(shot.image, `${job.prompt}, ${job.target}, ${arm}`)), beside.length ? make("div", { class: "beside" }, beside) : null),
      make("div", {}, make("h3", {}, job.prompt), make("p", { class: "sub" }, `${job.target} · ${arm}`), make("table", {}, make("tbody", {}, reads, values)), record)),
    make("div", { class: "walk" },
      make("button", { type: "button", class: "chip", "aria-label": "Previous arm", click: () => walk(-1, 0) }, "←"),
      make("button", { type: "button", class: "chip", "aria-label": "Next arm", click: () => walk(1, 0) }, "→"),
      make("span", { class: "hint" }, "← → arms, ↑ ↓ jobs, Esc closes"),
      make("button", { type: "button", class: "chip", click: () => box.close() }, "Close")));
  if (!box.open) box.showModal();
  box.focus(); // what had it is gone
}

/** To the next picture that is shown: so many arms to the right, or jobs down. */
function walk(across, down) {
  const arms = data.arms.map((arm) => arm.name).filter((name) => wanted.arms.has(name));
  const jobs = data.jobs.filter((job) => wanted.emotions.has(job.emotion) && job.prompt.toLowerCase().includes(wanted.text));
  let [x, y] = [arms.indexOf(open.arm), jobs.indexOf(open.job)];
  do {
    x += across;
    y += down;
    if (fits(data.shots[arms[x]]?.[jobs[y]?.id])) return closeUp(arms[x], jobs[y]);
  } while (arms[x] && jobs[y]);
}

box.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (steps[event.key] && !event.target.closest("pre")) { event.preventDefault(); walk(...steps[event.key]); }
});
box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
box.addEventListener("close", () => {
  const tile = [...document.querySelectorAll(".shot[data-job]")].find((one) => one.dataset.arm === open.arm && one.dataset.job === open.job.id);
  tile?.focus();
});
