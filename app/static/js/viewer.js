// One image, large: its neighbours by the arrow keys, its children by buttons, Escape closes it.
"use strict";

(() => {
  const { node } = window.sngan;
  let first = null; // the image that waits for a second one to be mixed with

  // The children of an image are links like all others; so they can be shared, and the browser goes back from them.
  window.sngan.act = (kind, image, others = []) => {
    const { latent } = image;
    const made = {
      vary: () => window.sngan.link("vary", { class: image.class, latent, n: 8, seed: window.sngan.seed() }),
      walk: () => window.sngan.link("walk", { class: image.class, latent, to_seed: window.sngan.seed(), steps: 16 }),
      others: () => window.sngan.link("sample", { class: others, latent, n: 1 }),
    };
    window.sngan.go(made[kind]());
  };

  // "Mix with…" waits for a second image; returns whether this one was it.
  window.sngan.paired = (image) => {
    if (!first) return false;
    const [a, b] = [first, image];
    unpair();
    window.sngan.go(
      window.sngan.link("cross", { class: a.class, latent: a.latent, to_class: b.class, to_latent: b.latent, steps: 4 }),
    );
    return true;
  };

  function pair(image) {
    first = image;
    dialog?.close();
    const cancel = node("button", { type: "button", onclick: unpair }, "Cancel");
    document.body.append(
      node("div", { id: "pairing", role: "status" }, node("span", {}, `Choose the image to mix with ${image.alt}.`), cancel),
    );
  }

  window.sngan.unpair = unpair;
  function unpair() {
    first = null;
    document.getElementById("pairing")?.remove();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && first) unpair();
  });

  let dialog = null;
  window.sngan.view = (value, index) => {
    const opener = document.activeElement;
    const picture = node("img", { alt: "", draggable: "false" });
    const caption = node("p", { "aria-live": "polite" });
    const actions = node("div", { class: "actions" });
    const step = (by) => show((index + by + value.images.length) % value.images.length);
    const button = (text, onclick, more = {}) => node("button", { type: "button", onclick, ...more }, text);
    dialog = node(
      "dialog",
      { class: value.px <= 64 ? "viewer pixelated" : "viewer", "aria-label": "Image" },
      button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
      button("‹", () => step(-1), { class: "previous", "aria-label": "Previous image" }),
      picture,
      button("›", () => step(1), { class: "next", "aria-label": "Next image" }),
      node("div", { class: "about" }, caption, actions),
    );
    const show = (to) => {
      index = to;
      const image = value.images[to];
      const src = window.sngan.source(value, image);
      [picture.src, picture.alt] = [src, image.alt];
      caption.replaceChildren(node("b", {}, image.alt), ` latent ${image.latent}`);
      actions.replaceChildren(
        button("More like this", () => window.sngan.act("vary", image)),
        button("Walk from here", () => window.sngan.act("walk", image)),
        button("Mix with…", () => pair(image)),
        value.others?.length ? button("Same latent, other classes", () => window.sngan.act("others", image, value.others)) : "",
        button("★ Favourite", () => window.sngan.favour(image)),
        node("a", { href: src, download: image.file }, "Download"),
        button("Copy link", () => window.sngan.copy(image.link)),
      );
    };
    dialog.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) step(by);
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      opener?.focus?.();
    });
    document.querySelector(".gradio-container").append(dialog);
    show(index);
    dialog.showModal();
  };
})();
