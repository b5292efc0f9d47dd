// What every part of the page uses: its addresses, its model, and the way from one request to the next.
"use strict";

window.sngan = {
  model: "", // whose images may be shown: what arrives late for another model is dropped
  weights: "", // the first digits of their sha256, where the model is a folder
  lent: false, // whether its GPU is lent call by call: then only a visitor's own click makes images
  moved: "", // the link that Back or Forward is showing, which therefore is no new step

  url(path) {
    return new URL(`sngan/${path}`, document.baseURI).href;
  },

  // A node with attributes and children; text is always text, never markup.
  node(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child != null));
    return made;
  },

  // A link of the open model to another request; values may be lists.
  link(tab, values) {
    const query = new URLSearchParams({ tab });
    const [name, revision] = this.model.split("@");
    query.set("model", name);
    if (revision) query.set("revision", revision);
    if (this.weights) query.set("weights", this.weights);
    for (const [key, value] of Object.entries(values)) {
      for (const single of [value].flat()) if (single !== "" && single != null) query.append(key, single);
    }
    return `?${query}`;
  },

  // Another model is open; to one without classes some tabs mean nothing.
  opened({ model, weights, classless, lent }) {
    if (this.model !== model) this.unpair();
    Object.assign(this, { model, weights, lent });
    document.documentElement.classList.toggle("classless", classless);
  },

  image(link) {
    return this.url(`image.png${link}`);
  },

  // Where an image of a result lies; one that was drawn anew since says so.
  source(value, image) {
    return image.src || this.url(`results/${value.result}/${image.file}`);
  },

  seed() {
    return Math.floor(Math.random() * 2 ** 31);
  },

  // Ask for what a link means, without leaving the page. The shelf, which is never hidden, carries it to the server.
  go(link) {
    document.querySelector("dialog[open]")?.close();
    this.ask?.({ link, model: this.model });
  },

  // The address follows the page; Gradio's own settings in it stay. A tab whose images are still to come is bare.
  address(link, { step = false, bare = false } = {}) {
    const now = new URL(window.location.href);
    const next = new URL(now.origin + now.pathname + link);
    for (const [key, value] of now.searchParams) if (key.startsWith("__")) next.searchParams.append(key, value);
    if (next.href === now.href) return;
    if (step) window.history.pushState({ bare }, "", next);
    else window.history.replaceState({ bare }, "", next);
  },

  // A tab is chosen: its images are made if there are none, so that no tab opens empty.
  tab(name, tries = 50) {
    const sheet = document.querySelector(`#${name}-sheet .sheet`);
    const shown = document.querySelector(`#${name}-sheet .sheet, #${name}-overview, #${name}-card`)?.offsetParent;
    if (!shown && tries) return setTimeout(() => this.tab(name, tries - 1), 100); // Gradio takes a moment
    const link = sheet?.dataset.link;
    this.address(link || this.link(name, {}), { step: true, bare: !link });
    if (sheet && !this.lent && !sheet.dataset.result && !sheet.dataset.busy) this.press(name);
  },

  current() {
    return document.querySelector('#tabs [role="tab"][aria-selected="true"]')?.dataset.tabId || "sample";
  },

  // The button exists, and works, only a moment after its tab is selected.
  press(tab, tries = 50) {
    const button = document.querySelector(`#${tab}-run`);
    if (button?.offsetParent) button.click();
    else if (tab && tries) setTimeout(() => this.press(tab, tries - 1), 100);
  },

  copy(link) {
    const address = new URL(window.location.href);
    const text = link.startsWith("?") ? address.origin + address.pathname + link : link;
    const done = () => this.toast(link.startsWith("?") ? "The link is in your clipboard." : "Copied.");
    const byHand = () => {
      const field = document.createElement("textarea");
      field.value = text;
      (document.querySelector("dialog[open]") || document.body).appendChild(field);
      field.select();
      const copied = document.execCommand("copy");
      field.remove();
      if (copied) done();
      else this.toast("This browser lets nothing be copied from here.");
    };
    if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(done, byHand);
    else byHand();
  },

  toast(text) {
    let box = document.getElementById("sngan-toast");
    if (!box) {
      box = this.node("div", { id: "sngan-toast", role: "status", "aria-live": "polite" });
    }
    (document.querySelector("dialog[open]") || document.body).appendChild(box);
    box.textContent = text;
    box.classList.add("shown");
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => box.classList.remove("shown"), 3000);
  },

  // What is wrong stands beside the fields until the next attempt, and the field itself is marked.
  problem(element, props, watch) {
    const line = element.querySelector(".problem");
    line.setAttribute("role", "alert");
    let marked = null;
    const show = () => {
      const { text = "", field = "" } = props.value || {};
      line.textContent = text;
      line.hidden = !text;
      marked?.removeAttribute("aria-invalid");
      marked = field ? document.querySelector(`#${field} :is(input:not([type=range]), textarea)`) : null;
      if (!marked) return;
      marked.setAttribute("aria-invalid", "true");
      marked.focus({ preventScroll: true });
    };
    watch("value", show);
    show();
  },

  // On a phone the settings are folded away.
  settings(tab) {
    document.querySelector(`#${tab}-run`).closest(".tab-body").classList.toggle("open");
  },

  lightDark(dark = !document.body.classList.contains("dark")) {
    document.body.classList.toggle("dark", dark);
    this.store("theme", dark ? "dark" : "light");
  },

  stored(key) {
    try {
      return JSON.parse(window.localStorage.getItem(`sngan-${key}`));
    } catch {
      return null; // storage may be forbidden, or hold what another version wrote
    }
  },

  store(key, value) {
    try {
      window.localStorage.setItem(`sngan-${key}`, JSON.stringify(value));
    } catch {
      this.toast("This browser keeps nothing for this page.");
    }
  },
};

// Only a visitor's own click on a tab counts: links choose tabs too, and make their images themselves.
document.addEventListener("click", (event) => {
  const tab = event.isTrusted && event.target.closest?.("#tabs .tab-wrapper button");
  const name = tab && tab.textContent.trim().toLowerCase();
  if (name && document.querySelector(`#${name}-sheet, #${name}-overview, #${name}-card`)) window.sngan.tab(name);
});

// What was wrong with a link is told until the visitor goes on.
document.addEventListener("click", (event) => {
  const wrong = document.querySelector(".facts.wrong[data-then]");
  if (!wrong || !event.isTrusted || !event.target.closest?.(".bar .actions")) return;
  [wrong.textContent, wrong.className] = [wrong.dataset.then, "facts"];
});

// On narrow screens Gradio puts the tabs that do not fit into a menu, when it opens.
document.addEventListener("click", (event) => {
  if (!event.target.closest?.("#tabs .overflow-menu") || !document.querySelector(".classless")) return;
  setTimeout(() => {
    for (const button of document.querySelectorAll("#tabs .overflow-dropdown button")) {
      button.hidden = ["Morph", "Mixture", "Classes"].includes(button.textContent.trim());
    }
  });
});

// The row of tabs is one stop of the Tab key, as the pattern of ARIA has it; arrow keys go along it.
document.addEventListener("focusin", () => {
  setTimeout(() => {
    for (const tab of document.querySelectorAll('#tabs [role="tab"]')) tab.tabIndex = tab.ariaSelected === "true" ? 0 : -1;
  });
});
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.('#tabs [role="tab"]');
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!tab || !by) return;
  const tabs = [...tab.parentElement.querySelectorAll('[role="tab"]')].filter((other) => other.offsetParent);
  const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
  next.click();
  next.focus();
  window.sngan.tab(next.dataset.tabId);
});

window.addEventListener("popstate", () => {
  window.sngan.moved = window.location.search;
  window.sngan.go(window.location.search);
});

// Gradio sets light or dark when it starts; what the visitor chose comes after that, once.
document.addEventListener("DOMContentLoaded", () => {
  const theme = window.sngan.stored("theme");
  if (!theme || new URLSearchParams(window.location.search).has("__theme")) return;
  document.documentElement.style.colorScheme = theme;
  const apply = () => document.body.classList.toggle("dark", theme === "dark");
  const watcher = new MutationObserver(() => {
    if (!document.querySelector(".gradio-container .tabs")) return;
    watcher.disconnect();
    apply();
  });
  watcher.observe(document.body, { childList: true, subtree: true });
  apply();
});
