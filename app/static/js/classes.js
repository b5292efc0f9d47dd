// One image of every class: all names at once, images only where one looks.
"use strict";

(() => {
  const { node } = window.sngan;

  // A few at a time, and again after a while if the server has too much to do: browsers ask for hundreds at once.
  const AT_ONCE = 6;
  const waiting = [];
  let loading = 0;
  function load() {
    while (loading < AT_ONCE && waiting.length) {
      const image = waiting.pop(); // what came into view last is looked at now
      if (!image.isConnected) continue;
      loading += 1;
      const next = () => {
        loading -= 1;
        load();
      };
      image.onload = next;
      image.onerror = () => {
        next();
        setTimeout(() => image.isConnected && waiting.unshift(image) && load(), 3000);
      };
      image.src = image.dataset.src;
    }
  }

  window.sngan.classes = (element, props, watch, server) => {
    const root = element.querySelector(".classes");
    const input = node("input", {
      type: "search", "aria-label": "Find a class", placeholder: "Find a class: a name, an index, a WordNet id",
      autocomplete: "off", spellcheck: "false", maxlength: 200,
    });
    const note = node("p", { role: "status" });
    const grid = node("ul", { class: "overview" });
    root.replaceChildren(node("div", { class: "find" }, input, note), grid);
    let asked = 0;
    const said = (count, all) => (count === all ? `${all.toLocaleString("en")} classes` : `${count} of ${all.toLocaleString("en")} classes`);

    const seen = new IntersectionObserver(
      (entries) => {
        for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
          seen.unobserve(target);
          waiting.push(target);
        }
        load();
      },
      { rootMargin: "200px" },
    );
    const draw = () => {
      const { classes = [], px = 128, total = 0 } = props.value || {};
      grid.classList.toggle("pixelated", px <= 64);
      grid.replaceChildren(
        ...classes.map(({ text, name, index }) => {
          const src = window.sngan.image(window.sngan.link("sample", { class: text, latent: "0:0", n: 1 }));
          const open = () => window.sngan.go(window.sngan.link("sample", { class: text, seed: 0 }));
          const image = node("img", { "data-src": src, alt: "", decoding: "async", width: px, height: px });
          if (!window.sngan.lent) seen.observe(image);
          return node("li", { "data-index": index }, node("button", { type: "button", title: name, onclick: open }, image, node("span", {}, name)));
        }),
      );
      input.value = "";
      note.textContent = said(classes.length, total);
    };
    input.addEventListener("input", async () => {
      const turn = ++asked;
      const query = input.value.trim();
      const all = grid.children.length;
      const answer = query ? await server.find({ model: window.sngan.model, query, limit: all }) : { classes: null };
      if (turn !== asked) return;
      const order = answer.classes && new Map(answer.classes.map((entry, i) => [String(entry.index), i]));
      for (const item of grid.children) {
        item.hidden = Boolean(order) && !order.has(item.dataset.index);
        item.style.order = order?.get(item.dataset.index) ?? "";
      }
      const count = order ? order.size : all;
      note.textContent = answer.problem || (count ? said(count, all) : `no such class: ${query}`);
    });
    watch("value", draw);
    draw();
  };
})();
