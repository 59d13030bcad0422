// What the page does in the browser: the wheel, the mask's brush, and PNGs that are dropped anywhere.
(() => {
  const WHEEL = ["amusement", "contentment", "awe", "excitement", "fear", "sadness", "disgust", "anger"];
  const $ = (id, inside) => document.getElementById(id)?.querySelector(inside);

  // A text as Gradio's own fields take it.
  function write(id, text) {
    const field = $(id, "textarea, input");
    if (!field || field.value === text) return;
    const proto = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(proto.prototype, "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function weights(text) {
    const found = {};
    for (const part of (text || "").split(",")) {
      const [name, value] = part.split(":").map((word) => word.trim());
      if (WHEEL.includes(name)) found[name] = value === undefined ? 1 : Number(value) || 0;
    }
    return found;
  }

  function draw(tab, text) {
    const wheel = $(`${tab}-wheel`, "svg");
    if (!wheel) return;
    const found = weights(text), most = Math.max(0, ...Object.values(found));
    const names = Object.keys(found).filter((name) => found[name] > 0);
    for (const petal of wheel.querySelectorAll("[data-emotion]")) {
      const name = petal.dataset.emotion;
      const on = name === "plain" ? !names.length : found[name] > 0;
      petal.classList.toggle("m-on", on && name !== "plain");
      petal.setAttribute("aria-checked", String(on));
      petal.setAttribute("tabindex", name === (names[0] || "plain") ? "0" : "-1");
      petal.style.setProperty("--w", most ? (found[name] || 0) / most : 0);
    }
    const [said, hint] = wheel.querySelectorAll(".m-middle text");
    said.textContent = names.length > 1 ? "a mixture" : names[0] || "plain";
    hint.textContent = names.length ? "press to clear" : "pick one";
  }

  window.muse = {
    mixed: (...values) => {
      const named = WHEEL.map((name, i) => [name, values[i]]).filter(([, value]) => value > 0);
      if (!named.length) return "plain";
      return named.length === 1 ? named[0][0] : named.map(([n, v]) => `${n}:${v}`).join(",");
    },
    chosen: (tab, text) => {
      draw(tab, text);
      const found = weights(text);
      return WHEEL.map((name) => found[name] || 0);
    },
  };

  function pick(petal) {
    const tab = petal.closest('[id$="-wheel"]').id.replace("-wheel", "");
    draw(tab, petal.dataset.emotion);
    write(`${tab}-emotion`, petal.dataset.emotion);
  }

  document.addEventListener("click", (event) => {
    const petal = event.target.closest?.(".m-wheel [data-emotion]");
    if (petal) pick(petal);
    if (event.target.matches?.(".m-canvas button")) {
      const canvas = event.target.closest(".m-canvas").querySelector("canvas");
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      write("edit-mask", "");
    }
  });
  document.addEventListener("keydown", (event) => {
    const petal = event.target.closest?.(".m-wheel [data-emotion]");
    if (!petal) return;
    const on = WHEEL.indexOf(petal.dataset.emotion);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    let next = null;
    if (step) next = WHEEL[(on + step + 8) % 8];
    else if (event.key === "Enter" || event.key === " ") next = petal.dataset.emotion;
    else if (event.key === "Escape" || event.key === "Delete") next = "plain";
    if (!next) return;
    event.preventDefault();
    const chosen = petal.closest("svg").querySelector(`[data-emotion="${next}"]`);
    pick(chosen);
    chosen.focus();
  });

  // The mask's brush.
  let stroke = null;
  const at = (canvas, event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width,
            ((event.clientY - box.top) * canvas.height) / box.height];
  };
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.matches?.(".m-canvas canvas")) return;
    const canvas = event.target, photo = canvas.parentElement.querySelector("img");
    if (canvas.dataset.of !== photo.src.length + "") {
      canvas.width = photo.naturalWidth;
      canvas.height = photo.naturalHeight;
      canvas.dataset.of = photo.src.length + "";
    }
    const size = canvas.closest(".m-canvas").querySelector("input").value;
    const pen = canvas.getContext("2d");
    pen.lineWidth = (size / 100) * Math.max(canvas.width, canvas.height);
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = "#4f46c8";
    stroke = { canvas, pen };
    pen.beginPath();
    pen.moveTo(...at(canvas, event));
    pen.lineTo(...at(canvas, event));
    pen.stroke();
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  document.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    stroke.pen.lineTo(...at(stroke.canvas, event));
    stroke.pen.stroke();
  });
  document.addEventListener("pointerup", () => {
    if (!stroke) return;
    write("edit-mask", stroke.canvas.toDataURL("image/png"));
    stroke = null;
  });

  // On a phone the line that says what is wrong may lie below the window.
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes)
      for (const node of addedNodes)
        if (node.matches?.(".m-error")) node.scrollIntoView({ block: "nearest" });
  }).observe(document, { childList: true, subtree: true });

  // A PNG dropped anywhere but on a field for files restores its settings.
  const files = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  const elsewhere = (event) => files(event) && !event.target.closest?.(".m-drop");
  document.addEventListener("dragover", (event) => {
    if (!elsewhere(event)) return;
    event.preventDefault();
    document.body.classList.add("m-dropping");
  });
  for (const name of ["dragleave", "drop"])
    document.addEventListener(name, (event) => {
      if (name === "drop" || event.relatedTarget === null)
        document.body.classList.remove("m-dropping");
    });
  document.addEventListener("drop", (event) => {
    if (!elsewhere(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer.files, clear = $("dropped", "button[aria-label='Clear'], button[aria-label='Remove']");
    if (!file) return;
    if (clear) clear.click();
    setTimeout(() => {
      const field = $("dropped", "input[type=file]");
      if (!field) return;
      const list = new DataTransfer();
      list.items.add(file);
      field.files = list.files;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }, clear ? 150 : 0);
  });
})();
