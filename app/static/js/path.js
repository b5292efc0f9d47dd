// Two things that answer while they are dragged: the way of a morph or walk, and truncation on the first row.
"use strict";

(() => {
  const { node } = window.sngan;

  // Load images one after another; of what is asked for meanwhile only the last counts.
  function latest(load) {
    let busy = false;
    let next = null;
    return async function ask(wanted) {
      next = wanted;
      if (busy) return;
      busy = true;
      while (next !== null) {
        const now = next;
        next = null;
        await load(now).catch(() => null);
      }
      busy = false;
    };
  }

  const fetched = (link) =>
    new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve(image.src);
      image.onerror = reject;
      image.src = window.sngan.image(link);
    });

  // A place on the way as a request of its own: a mixture of the two classes, or a latent between the two.
  function between(value, at) {
    const [start, end] = [value.images[0], value.images.at(-1)];
    const t = at.toFixed(3);
    if (value.tab === "morph") {
      const weights = [(1 - at).toFixed(3), t];
      if (start.class === end.class) return window.sngan.link("sample", { class: start.class, latent: start.latent, n: 1 });
      return window.sngan.link("mixture", { class: [start.class, end.class], weight: weights, latent: start.latent, n: 1 });
    }
    const to = /~/.test(end.latent) ? `(${end.latent})` : end.latent;
    return window.sngan.link(...single(start.class, `${start.latent}~${t}~${to}`));
  }

  // A blend of classes ("8*0.7+2*0.3") is a mixture, one class a sample.
  function single(text, latent) {
    const parts = text.includes("*") ? text.split("+").map((part) => part.split("*")) : null;
    if (!parts) return ["sample", { class: text, latent, n: 1 }];
    return ["mixture", { class: parts.map(([c]) => c), weight: parts.map(([, w]) => w), latent, n: 1 }];
  }

  window.sngan.path = (stage, value) => {
    stage.hidden = !value.moves || !value.images?.length;
    if (stage.hidden) return;
    if (stage.dataset.result === value.result && value.state !== "done") return;
    stage.dataset.result = value.result;
    const sources = value.images.map((image) => window.sngan.url(`results/${value.result}/${image.file}`));
    const picture = node("img", { src: sources[0], alt: value.images[0].alt, width: value.px, height: value.px });
    const slider = node("input", { type: "range", min: 0, max: 1, step: 0.001, value: 0, "aria-label": "Place on the way" });
    const exact = latest(async (at) => {
      const src = await fetched(between(value, at));
      if (Number(slider.value) === at) picture.src = src;
    });
    slider.addEventListener("input", () => {
      const at = Number(slider.value);
      const nearest = Math.round(at * (sources.length - 1));
      picture.src = sources[nearest];
      slider.setAttribute("aria-valuetext", `${Math.round(100 * at)} %`);
      if (value.state === "done" && !window.sngan.lent) exact(at);
    });
    const play = node("button", { type: "button", class: "play" }, "Play");
    let timer = 0;
    const stop = () => {
      window.clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      let at = 0;
      play.textContent = "Pause";
      timer = window.setInterval(() => {
        if (!picture.isConnected) return stop();
        const around = 2 * (sources.length - 1);
        const i = Math.min(at % around, around - (at % around));
        [picture.src, slider.value] = [sources[i], i / (sources.length - 1)];
        at += 1;
      }, 120);
    });
    slider.addEventListener("pointerdown", stop);
    slider.addEventListener("keydown", stop);
    stage.replaceChildren(picture, node("div", { class: "way" }, play, slider));
  };

  // Truncation shows what it does on the first row, whose seed stays, before anything is generated.
  const rows = new WeakMap();
  window.sngan.truncate = (body, threshold) => {
    const sheet = body?.querySelector(".sheet");
    if (!sheet?.dataset.link || sheet.dataset.busy || window.sngan.lent) return;
    if (!rows.has(sheet)) rows.set(sheet, latest((wanted) => redraw(sheet, wanted.threshold)));
    rows.get(sheet)({ threshold });
  };

  async function redraw(sheet, threshold) {
    const value = sheet.shown;
    if (value?.tab !== "sample") return;
    const tiles = [...sheet.querySelectorAll(".rows section:first-child .tile")].slice(0, 8);
    await Promise.all(
      tiles.map(async (tile) => {
        const image = value.images[Number(tile.dataset.index)];
        const drawn = /^(\d+:\d+)(:[\d.]+)?$/.exec(image?.latent); // not one with ancestors
        if (!drawn) return;
        const latent = threshold == null ? drawn[1] : `${drawn[1]}:${threshold}`;
        const link = window.sngan.link("sample", { class: image.class, latent, n: 1 });
        const src = await fetched(link);
        Object.assign(image, { latent, link, src }); // so that its children are those of what is seen
        tile.querySelector("img").src = src;
      }),
    );
  }
})();
