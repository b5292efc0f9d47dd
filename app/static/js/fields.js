// Two fields that Gradio has no component for: classes found as one types, and a threshold that can be off.
"use strict";

(() => {
  const { node } = window.sngan;
  let made = 0; // fields so far, for ids

  // Props of a picker: `value` is { chosen: [texts], weights: [numbers] }, `names` what to call the chosen.
  window.sngan.picker = (element, props, watch, server) => {
    const root = element.querySelector(".picker");
    const { label, weighted } = root.dataset;
    const limit = Number(root.dataset.limit);
    const id = `sngan-options-${made++}`;
    const chips = node("ul", { class: "chips", "aria-label": `${label}: chosen` });
    const input = node("input", {
      type: "text", role: "combobox", "aria-label": label, "aria-expanded": "false", "aria-controls": id,
      "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", maxlength: 200,
      placeholder: limit > 1 ? "Add a class…" : "Choose a class…",
    });
    const options = node("ul", { id, role: "listbox", "aria-label": label, hidden: true });
    const note = node("p", { class: "note", role: "status", hidden: true });
    const box = node("div", { class: "box" }, chips, input);
    root.replaceChildren(node("span", { class: "label" }, label), box, options, note);
    let found = [];
    let active = 0;
    let asked = 0;
    let pending = false; // what is listed is older than what is typed
    let wanted = false; // Enter came before the list

    const chosen = () => props.value?.chosen || [];
    const set = (classes, weights = props.value?.weights || []) => {
      props.value = { ...props.value, chosen: classes, weights };
      draw();
    };
    const weight = (i) => props.value?.weights?.[i] ?? 1;
    const drop = (i) => {
      const without = (list) => (list || []).filter((_, k) => k !== i);
      set(without(chosen()), without(props.value.weights));
      input.focus();
    };
    const draw = () => {
      const names = props.value?.names || {};
      chips.replaceChildren(
        ...chosen().map((text, i) => {
          const name = names[text] || text;
          const remove = node(
            "button",
            { type: "button", class: "remove", tabindex: -1, "aria-label": `Remove ${name}`, onclick: () => drop(i) },
            "×",
          );
          const chip = node("li", { title: name }, node("span", {}, name), remove);
          if (weighted) chip.append(weigh(i, name));
          return chip;
        }),
      );
      element.closest(".block").hidden = Boolean(props.value?.hidden);
      if (limit === 1) input.placeholder = chosen().length ? "Change…" : "Choose a class…";
      input.hidden = limit > 1 && chosen().length >= limit;
    };
    const weigh = (i, name) =>
      node("input", {
        type: "range", min: 0, max: 1, step: 0.01, value: weight(i), "aria-label": `Weight of ${name}`,
        oninput: (event) => {
          const weights = chosen().map((_, k) => weight(k));
          weights[i] = Number(event.target.value);
          props.value = { ...props.value, weights };
        },
      });

    const close = () => {
      options.hidden = true;
      options.replaceChildren();
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const look = async () => {
      const turn = ++asked;
      pending = true;
      const query = input.value.trim();
      const answer = await server.find({ model: window.sngan.model, query });
      if (turn !== asked) return;
      pending = false;
      found = answer.classes || [];
      if (wanted && found.length) return take(0);
      wanted = false;
      if (document.activeElement !== input) return;
      active = 0;
      note.hidden = found.length > 0;
      note.textContent = answer.problem || (found.length ? "" : `no such class: ${query}`);
      options.replaceChildren(...found.map(option));
      options.hidden = !found.length;
      input.setAttribute("aria-expanded", String(found.length > 0));
      if (found.length) point(0);
    };
    const option = (entry, i) =>
      node(
        "li",
        { id: `${id}-${i}`, role: "option", "aria-selected": "false", onpointerdown: (event) => (event.preventDefault(), take(i)) },
        node("span", {}, entry.name),
        node("small", {}, entry.wordnet_id ? `${entry.wordnet_id} · ${entry.index}` : String(entry.index)),
      );
    const point = (i) => {
      options.children[active]?.setAttribute("aria-selected", "false");
      active = i;
      options.children[i].setAttribute("aria-selected", "true");
      options.children[i].scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", `${id}-${i}`);
    };
    const take = (i) => {
      const { text, name } = found[i];
      const names = { ...props.value?.names, [text]: name };
      const before = limit === 1 ? [] : chosen();
      const classes = before.includes(text) ? before : [...before, text];
      props.value = { ...props.value, chosen: classes, weights: classes.map((_, k) => weight(k)), names };
      asked += 1; // an answer that is still to come must not open the list again
      [input.value, wanted, pending] = ["", false, false];
      close();
      draw();
    };
    input.addEventListener("input", look);
    input.addEventListener("click", look);
    input.addEventListener("blur", () => {
      close();
      const typed = input.value.trim();
      wanted = false;
      if (!typed || !found.length) return;
      note.hidden = false; // what was typed stays, and it is said that it does not count
      note.textContent = `not chosen yet: ${typed}`;
    });
    input.addEventListener("keydown", (event) => {
      const open = !options.hidden;
      if (event.key === "ArrowDown" && !open) look();
      else if (event.key === "ArrowDown") point((active + 1) % found.length);
      else if (event.key === "ArrowUp" && open) point((active + found.length - 1) % found.length);
      else if (event.key === "Enter" && pending) wanted = true;
      else if (event.key === "Enter" && open) take(active);
      else if (event.key === "Escape" && open) close();
      else if (event.key === "Backspace" && !input.value && chosen().length) drop(chosen().length - 1);
      else if (event.key === "ArrowLeft" && !input.value) chips.querySelector("li:last-child .remove")?.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    // The chips are one stop with the input: the left arrow reaches them.
    chips.addEventListener("keydown", (event) => {
      const removes = [...chips.querySelectorAll(".remove")];
      const now = removes.indexOf(event.target);
      if (now < 0) return;
      if (event.key === "ArrowLeft") removes[Math.max(0, now - 1)].focus();
      else if (event.key === "ArrowRight") (removes[now + 1] || input).focus();
      else if (event.key === "Delete" || event.key === "Backspace") drop(now);
    });
    box.addEventListener("click", (event) => event.target === box && input.focus());
    watch("value", () => {
      note.hidden = true;
      input.value = "";
      draw();
    });
    draw();
  };

  // A threshold from 0.05; at the right end of its slider it is off.
  window.sngan.truncation = (element, props, watch) => {
    const root = element.querySelector(".truncation");
    const id = `sngan-truncation-${made++}`;
    const input = node("input", { id, type: "range", min: 0.05, max: 2.05, step: 0.05 });
    const output = node("output", { for: id });
    root.replaceChildren(node("label", { for: id }, "Truncation"), output, input);
    const show = () => {
      const value = typeof props.value === "number" ? props.value : null;
      input.max = Math.max(2.05, (value ?? 0) + 0.05);
      input.value = value ?? input.max;
      tell(value);
    };
    const tell = (value) => {
      output.textContent = value == null ? "off" : String(value);
      input.setAttribute("aria-valuetext", value == null ? "off" : `${value} standard deviations`);
    };
    input.addEventListener("input", () => {
      const value = Number(input.value) >= Number(input.max) ? null : Number(input.value);
      props.value = value;
      tell(value);
      window.sngan.truncate(root.closest(".tab-body"), value);
    });
    watch("value", show);
    show();
  };
})();
