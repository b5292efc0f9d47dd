// A result as a sheet: a row of images for each class, and below it what can be downloaded and how to make it again.
"use strict";

(() => {
  const { node } = window.sngan;
  const BUSY = ["waiting", "opening", "making"];

  window.sngan.sheet = (element, props, watch) => {
    const root = element.querySelector(".sheet");
    const status = node("p", { role: "status", "aria-live": "polite" });
    const bar = node("progress", { "aria-label": "Progress", max: 1, value: 0 });
    const stage = node("div", { class: "stage", hidden: true });
    const parents = node("div", { class: "parents", hidden: true });
    const rows = node("div", { class: "rows" });
    const downloads = node("div", { class: "downloads" });
    const recipe = node("details", { class: "recipe", hidden: true });
    root.replaceChildren(node("div", { class: "state" }, status, bar), parents, stage, rows, downloads, recipe);
    let shown = null; // the value whose images stand in the rows

    const show = () => {
      const value = props.value || {};
      if (value.state === "idle" || value.fresh) window.sngan.opened(value);
      if (value.model && value.model !== window.sngan.model) return;
      const busy = BUSY.includes(value.state);
      root.dataset.busy = busy ? value.state : "";
      root.closest(".tab-body")?.classList.toggle("busy", busy);
      status.textContent = value.status || "";
      bar.hidden = !busy;
      if (busy && value.total) [bar.max, bar.value] = [value.total, value.done];
      else bar.removeAttribute("value");
      // Old images stay, dimmed, until the first new ones are there, and are whole again if the attempt fails before.
      const keep = busy ? !value.images?.length : value.state === "failed";
      rows.classList.toggle("stale", busy && keep);
      if (value.state === "failed") prune(rows);
      if (keep) return;
      shown = root.shown = { ...value, images: (value.images || []).map((image) => ({ ...image })) };
      root.dataset.result = value.result || "";
      root.dataset.link = value.link || "";
      root.classList.toggle("pixelated", (value.px || 128) <= 64);
      lineage(parents, value);
      fill(rows, shown);
      window.sngan.path(stage, value);
      list(downloads, value);
      explain(recipe, value);
      if (value.state === "done") window.sngan.shelve(value);
    };
    watch("value", show);
    show();

    rows.addEventListener("keydown", (event) => rove(event, rows));
    rows.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (!tile) return;
      const index = Number(tile.dataset.index);
      if (event.target.closest(".like")) window.sngan.act("vary", shown.images[index]);
      else if (event.target.closest(".star")) window.sngan.favour(shown.images[index]);
      else if (!window.sngan.paired(shown.images[index])) window.sngan.view(shown, index);
    });
  };

  // Where the images come from; each parent is a link too.
  function lineage(parents, { parents: from = [] }) {
    const key = JSON.stringify(from);
    parents.hidden = !from.length;
    if (parents.dataset.key === key) return;
    parents.dataset.key = key;
    const images = from.map(({ link, alt }) =>
      node(
        "button",
        { type: "button", title: `Parent: ${alt}`, "aria-label": `Parent: ${alt}`, onclick: () => window.sngan.go(link) },
        node("img", { src: window.sngan.image(link), alt: "", onerror: (event) => event.target.remove() }),
      ),
    );
    parents.replaceChildren(node("span", {}, from.length > 1 ? "Parents" : "Parent"), ...images);
  }

  // Tiles that are there stay as they are: images stream in without a flicker.
  function fill(rows, value) {
    const { titles = [], columns = 1, images = [], total = images.length } = value;
    const key = JSON.stringify([value.result, titles, columns, total]);
    if (rows.dataset.key !== key) {
      rows.dataset.key = key;
      const count = titles.length || 1;
      const each = Math.ceil(total / count);
      rows.replaceChildren(
        ...Array.from({ length: count }, (_, row) => {
          const tiles = Array.from({ length: Math.min(each, total - row * each) }, (_, i) => empty(row * each + i));
          const heading = titles[row] ? node("h2", {}, titles[row]) : null;
          return node("section", {}, heading, node("div", { class: "tiles" }, ...tiles));
        }),
      );
      rows.style.setProperty("--columns", columns);
      rows.style.setProperty("--wide", Math.min(columns, 4));
    }
    const tiles = rows.querySelectorAll(".tile");
    images.forEach((image, i) => {
      const img = tiles[i]?.querySelector("img");
      if (!tiles[i]) return;
      if (!img) picture(tiles[i], value, image);
      else if (img.src !== window.sngan.source(value, image)) img.src = window.sngan.source(value, image);
    });
  }

  // What was stopped has no places for images that will not come.
  function prune(rows) {
    const gone = rows.querySelectorAll(".tile:empty");
    if (!gone.length) return;
    rows.dataset.key = "";
    gone.forEach((tile) => tile.remove());
    rows.querySelectorAll("section:not(:has(.tile))").forEach((section) => section.remove());
  }

  const empty = (index) => node("div", { class: "tile", "data-index": index });

  function picture(tile, value, image) {
    const src = window.sngan.source(value, image);
    const first = tile.dataset.index === "0";
    const open = node(
      "button",
      { class: "open", type: "button", tabindex: first ? 0 : -1, "aria-label": `Open ${image.alt}` },
      node("img", { src, alt: image.alt, width: value.px, height: value.px, draggable: "false" }),
    );
    const like = node("button", { class: "like", type: "button", tabindex: -1, title: "More like this" }, "≈");
    const star = node("button", { class: "star", type: "button", tabindex: -1, title: "Keep as a favourite" }, "★");
    tile.append(open, node("span", { class: "quick", "aria-hidden": "true" }, like, star));
    if (image.caption) tile.append(node("span", { class: "caption", "aria-hidden": "true" }, image.caption));
  }

  // One tile is in the order of Tab; arrow keys go to the others.
  function rove(event, rows) {
    const tiles = [...rows.querySelectorAll(".tile .open")];
    const now = tiles.indexOf(document.activeElement);
    if (now < 0) return;
    const line = getComputedStyle(rows.querySelector(".tiles")).gridTemplateColumns.split(" ").length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: line, ArrowUp: -line, Home: -now, End: tiles.length - 1 - now };
    const next = tiles[now + steps[event.key]];
    if (!next) return;
    event.preventDefault();
    tiles[now].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function list(downloads, value) {
    const files = (value.files || []).map(({ kind, label }) =>
      node("a", { href: window.sngan.url(`results/${value.result}/${kind}`), download: "" }, label),
    );
    const copy = node("button", { type: "button", onclick: () => window.sngan.copy(value.link) }, "Copy link");
    downloads.replaceChildren(...(value.link ? [...files, copy] : []));
  }

  function explain(recipe, value) {
    const parts = { "In a shell": value.command, "In Python": value.python, "recipe.json, as in the zip": value.recipe };
    const blocks = Object.entries(parts)
      .filter(([, text]) => text)
      .map(([title, text]) =>
        node(
          "section",
          {},
          node("h3", {}, title),
          node("button", { type: "button", "aria-label": `Copy: ${title}`, onclick: () => window.sngan.copy(text) }, "Copy"),
          node("pre", { tabindex: 0 }, node("code", {}, text)),
        ),
      );
    const note = value.note ? node("p", {}, value.note) : "";
    recipe.replaceChildren(node("summary", {}, "How to make these again"), note, ...blocks);
    recipe.hidden = !blocks.length;
  }
})();
