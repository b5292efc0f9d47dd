// What stays at hand: the results of this visit, and the images that were kept as favourites in this browser.
"use strict";

(() => {
  const { node } = window.sngan;
  const KEPT = 60;
  const strip = []; // results of this visit, the newest last
  let draw = () => {};

  window.sngan.shelf = (element, ask) => {
    window.sngan.ask = ask;
    const root = element.querySelector(".shelf");
    draw = () => {
      const favourites = window.sngan.stored("favourites") || [];
      root.replaceChildren(
        line("Favourites", favourites, (entry) => unfavour(entry)),
        line("This visit", strip, null),
      );
      root.hidden = !favourites.length && !strip.length;
    };
    draw();
  };

  function line(title, entries, remove) {
    if (!entries.length) return "";
    const items = entries.map((entry) => {
      const now = entry.link === window.location.search;
      const open = node(
        "button",
        { type: "button", title: entry.title, "aria-label": entry.title, "aria-current": now && "true", onclick: () => window.sngan.go(entry.link) },
        node("img", { src: entry.src, alt: "" }),
      );
      const drop = remove && node("button", { type: "button", class: "remove", "aria-label": `Remove ${entry.title}`, onclick: () => remove(entry) }, "×");
      return node("li", {}, open, drop);
    });
    return node("section", {}, node("h2", {}, title), node("ul", { class: "strip" }, ...items));
  }

  // A result that is done: a step of the browser's history, unless Back or Forward led to it.
  window.sngan.shelve = (value) => {
    const { link, images, result, tab } = value;
    const here = document.querySelector(`#${tab}-sheet`)?.offsetParent !== null;
    if (here || value.fresh) {
      const step = Boolean(window.sngan.begun) && window.sngan.moved !== link && !window.history.state?.bare;
      window.sngan.address(link, { step });
      document.title = `${value.title} · ${value.model}`;
    }
    window.sngan.begun = true;
    window.sngan.moved = "";
    if (!strip.some((entry) => entry.link === link)) {
      const title = `${tab}: ${value.title || images[0].alt}`;
      strip.push({ link, title, src: window.sngan.url(`results/${result}/${images[0].file}`) });
      if (strip.length > KEPT) strip.shift();
    }
    draw();
  };

  // The image itself is kept, small as it is: files on the server expire.
  window.sngan.favour = (image) => {
    const favourites = window.sngan.stored("favourites") || [];
    if (favourites.some((entry) => entry.link === image.link)) return window.sngan.toast("Already a favourite.");
    const picture = new Image();
    picture.onload = () => {
      const canvas = node("canvas", { width: Math.min(128, picture.width), height: Math.min(128, picture.height) });
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      const kept = [...favourites, { link: image.link, title: image.alt, src: canvas.toDataURL("image/png") }];
      window.sngan.store("favourites", kept.slice(-KEPT));
      window.sngan.toast("Kept as a favourite in this browser.");
      draw();
    };
    picture.onerror = () => window.sngan.toast("This image cannot be had just now.");
    picture.src = window.sngan.image(image.link);
  };

  function unfavour(gone) {
    const kept = (window.sngan.stored("favourites") || []).filter((entry) => entry.link !== gone.link);
    window.sngan.store("favourites", kept);
    draw();
  }

  window.addEventListener("popstate", () => draw());
})();
