// Pictures side by side, per prompt and emotion, and what filters them.
const wanted = {
  arms: new Set(data.arms.map((arm) => arm.name)),
  emotions: new Set(data.jobs.map((job) => job.emotion)),
  judge: data.judges[data.judges.length - 1] ?? "",
  verdict: "all",
  text: "",
  prompts: 12,
};
const VERDICTS = { all: "Right or wrong", right: "Right", wrong: "Wrong" };

const toggles = (label, names, kept, dotted) => make("div", { class: "line" }, make("span", {}, label), make("div", { role: "group", "aria-label": label },
  names.map((name) => make("button", {
    type: "button", class: "chip", "aria-pressed": "true",
    click: (event) => {
      const on = kept.has(name) ? !kept.delete(name) : Boolean(kept.add(name));
      event.currentTarget.setAttribute("aria-pressed", String(on));
      pictures();
    },
  }, dotted ? dot(name) : null, name))));

function filters() {
  const emotions = Object.keys(data.emotions).filter((name) => wanted.emotions.has(name));
  const verdicts = Object.entries(VERDICTS).map(([name, told]) => make("button", {
    type: "button", class: "chip", "aria-pressed": String(name === wanted.verdict),
    click: (event) => {
      wanted.verdict = name;
      for (const other of event.currentTarget.parentElement.querySelectorAll(".chip")) other.setAttribute("aria-pressed", String(other === event.currentTarget));
      pictures();
    },
  }, told));
  const judge = choice("by", data.judges, (name) => { wanted.judge = name; pictures(); });
  judge.querySelector("select").value = wanted.judge;
  const search = make("input", { type: "search", placeholder: "words of the prompt", "aria-label": "Words of the prompt", input: () => { wanted.text = search.value.toLowerCase(); pictures(); } });
  byId("filters").append(
    toggles("Arms", [...wanted.arms], wanted.arms, false),
    toggles("Emotions", emotions, wanted.emotions, true),
    ...(data.judges.length ? [make("div", { class: "line" }, make("span", {}, "Read as"), make("div", {}, [...verdicts, judge]))] : []),
    make("div", { class: "line" }, make("span", {}, "Prompt"), make("div", {}, search)));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select, dialog")) { event.preventDefault(); search.focus(); }
  });
}

/** Whether a picture is wanted, by what the judge reads in it. */
function fits(shot) {
  if (!shot) return false;
  const read = shot.reads[wanted.judge];
  return wanted.verdict === "all" || Boolean(read && read[2] === (wanted.verdict === "right"));
}

const shotOf = (arm, job) => data.shots[arm][job.id];

function pictures() {
  const arms = data.arms.map((arm) => arm.name).filter((name) => wanted.arms.has(name));
  const jobs = data.jobs.filter((job) => wanted.emotions.has(job.emotion) && job.prompt.toLowerCase().includes(wanted.text) && arms.some((arm) => fits(shotOf(arm, job))));
  const prompts = [...new Set(jobs.map((job) => job.prompt))];
  const parts = prompts.slice(0, wanted.prompts).map((prompt) => block(prompt, jobs.filter((job) => job.prompt === prompt), arms));
  if (prompts.length > wanted.prompts) parts.push(make("button", { type: "button", class: "chip more", click: () => { wanted.prompts += 12; pictures(); } }, `Show more of ${prompts.length} prompts`));
  byId("shots").replaceChildren(...parts);
  const count = jobs.reduce((sum, job) => sum + arms.filter((arm) => fits(shotOf(arm, job))).length, 0);
  const part = data.jobs.length < data.of ? ` This page has room for ${data.jobs.length} of the study’s ${data.of} jobs.` : "";
  byId("count").textContent = `${many(count, "picture")} of ${many(prompts.length, "prompt")}.${part}`;
}

function block(prompt, jobs, arms) {
  const sources = jobs.some((job) => job.source !== null);
  const heads = [make("span", { class: "head" }), sources ? make("span", { class: "head" }, "source") : null, ...arms.map((arm) => make("span", { class: "head" }, arm))];
  const rows = jobs.map((job) => [
    make("span", { class: "label" }, dot(job.emotion), job.target),
    sources ? (job.source === null ? make("span", { class: "gap" }) : make("div", { class: "shot" }, image(job.source, `${prompt}, the source`), make("span", { class: "arm" }, "source"))) : null,
    ...arms.map((arm) => tile(arm, job)),
  ]);
  const grid = make("div", { class: "grid" }, heads, rows.flat());
  grid.style.setProperty("--columns", String(arms.length + (sources ? 1 : 0)));
  return make("article", { class: "prompt" }, make("h3", {}, prompt), grid);
}

function tile(arm, job) {
  const shot = shotOf(arm, job);
  if (!fits(shot)) return make("span", { class: "gap", "aria-hidden": "true" });
  const read = shot.reads[wanted.judge];
  const says = read ? make("span", { class: "says" }, make("b", { class: read[2] ? "yes" : "no" }, read[2] ? "✓" : "✗"), `${read[0]}`) : null;
  const told = `${job.prompt}, ${job.target}, ${arm}${read ? `, read as ${read[0]}` : ""}`;
  return make("button", { type: "button", class: "shot", "aria-label": told, "data-arm": arm, "data-job": job.id, click: () => closeUp(arm, job) },
    image(shot.image, ""), make("span", { class: "arm" }, arm), says);
}

filters();
pictures();
