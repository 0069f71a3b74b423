// What the reader and the verdict browser share: text that is only text, filters in the address, a list in pages.
const PAGE = 50;
const LONGEST = 20000; // characters of a text that are shown at once
// What can't be seen or reorders what can; polypref/report/text.py has the same list.
const UNSEEN = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}])/u;

// A character of UNSEEN by its code.
const codeOf = (part) => `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

// Text nodes, with what can't be seen written out.
const plain = (text) =>
  text.replaceAll("\r\n", "\n").split(UNSEEN).filter(Boolean).map((part) =>
    UNSEEN.test(part) ? el("span", { class: "unseen", title: "a character that can't be seen" }, codeOf(part)) : part);

// The only way in which elements are made here: strings become text and nothing else.
const el = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    element.setAttribute(name, name === "href" ? value : value.split(UNSEEN).map((part) => (UNSEEN.test(part) ? codeOf(part) : part)).join(""));
  }
  element.append(...children.flatMap((child) => (child === undefined ? [] : typeof child === "string" ? plain(child) : [child])));
  return element;
};

const count = (number) => number.toLocaleString("en");
const words = (name) => name.replaceAll("_", " ");
const hash = (state) => `#${new URLSearchParams(Object.entries(state).filter(([, value]) => value))}`;

// A text as children of a box of that direction. In one that runs from right to left, lines with letters of which none
// does so, as code and formulas have them, run from left to right.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const directed = (text, direction) => {
  if (direction !== "rtl") return plain(text);
  const runs = [];
  for (const line of text.replaceAll("\r\n", "\n").split("\n")) {
    const turned = /\p{L}/u.test(line) && !RIGHT_TO_LEFT.test(line);
    if (runs.length && runs.at(-1).turned === turned) runs.at(-1).lines.push(line);
    else runs.push({ turned, lines: [line] });
  }
  return runs.flatMap(({ turned, lines }, number) => [...(number ? ["\n"] : []),
    ...(turned ? [el("span", { dir: "ltr", class: "turned" }, lines.join("\n"))] : plain(lines.join("\n")))]);
};

// A text of a model or a data set: its own direction, isolated from what stands around it, whole only when asked for.
const textBox = (text, language, direction) => {
  const box = el("div", { class: "text", lang: language, dir: direction });
  box.append(...directed(text.slice(0, LONGEST), direction));
  if (!text) box.append(el("em", {}, "empty"));
  if (text.length > LONGEST) {
    const more = el("button", { type: "button" }, `Show all ${count(text.length)} characters`);
    more.addEventListener("click", () => box.replaceChildren(...directed(text, direction)));
    box.append(el("p", { class: "more" }, more));
  }
  return box;
};

// The page: `app.rows(state)` resolves to what the filters but the text's leave, `app.search(state, rows)` yields those
// that hold the text, `app.key(row)` names a row in the address as `app.parameter`, `app.line(row)` and
// `app.detail(row, state)` show it, `app.find(state)` resolves to the row that the address names.
const browse = (app) => {
  const form = document.querySelector(".filters");
  const [status, list, pager, detail] = [".status", ".list", ".pager", ".pane"].map((name) => document.querySelector(name));
  const controls = [...form.elements].filter((control) => control.name);
  let rows = [];
  let chosen;
  let page = 0;
  let filtered; // the filters that `rows` are the result of
  let drawn; // page and filters of the list as it stands
  let turn = 0;
  let current; // the filters as they were last read from the address

  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const control of controls) {
      const value = given.get(control.name) ?? "";
      const options = control.options && [...control.options];
      if (!options) control.value = value;
      else if (value && options.some((option) => option.value === value)) control.value = value;
      else control.value = (options.find((option) => "default" in option.dataset) ?? options[0]).value;
    }
    const state = Object.fromEntries(controls.map((control) => [control.name, control.value]));
    current = hash(state);
    return { ...state, ...Object.fromEntries((app.kept ?? []).map((name) => [name, given.get(name) ?? ""])),
      [app.parameter]: given.get(app.parameter) ?? "" };
  };
  const filters = (state) => ({ ...state, [app.parameter]: "" });
  const kept = (state) => Object.fromEntries(["language", ...(app.kept ?? [])].map((name) => [name, state[name]]));
  const alone = (state) => hash({ ...kept(state), [app.parameter]: chosen === undefined ? "" : app.key(chosen) });
  const clear = (state) => el("a", { href: alone(state), class: "clear" }, "clear filters");
  const say = (text) => status.replaceChildren(...plain(text));

  const drawList = (state) => {
    const shown = rows.slice(page * PAGE, (page + 1) * PAGE);
    const same = drawn === `${page} ${filtered}`;
    const before = same ? list.scrollTop : 0;
    drawn = `${page} ${filtered}`;
    list.replaceChildren(...shown.map((row) => {
      const link = el("a", { href: hash({ ...state, [app.parameter]: app.key(row) }) }, ...app.line(row));
      if (row === chosen) link.setAttribute("aria-current", "true");
      return el("li", {}, link);
    }));
    list.scrollTop = before;
    const place = list.querySelector("[aria-current]")?.getBoundingClientRect();
    const frame = list.getBoundingClientRect();
    // The list alone is scrolled, and only where what is chosen is out of sight.
    if (place && (place.top < frame.top || place.bottom > frame.bottom)) list.scrollTop += place.top - frame.top - frame.height / 3;
    const [back, on] = pager.querySelectorAll("button");
    back.disabled = page === 0;
    on.disabled = (page + 1) * PAGE >= rows.length;
    pager.hidden = rows.length <= PAGE;
    pager.querySelector("span").replaceChildren(`${count(page * PAGE + 1)}–${count(page * PAGE + shown.length)} of ${count(rows.length)}`);
  };

  const neighbours = (state) => {
    const place = rows.indexOf(chosen);
    const link = (name, label, row) =>
      row === undefined ? el("span", { class: "off" }, label)
        : el("a", { href: hash({ ...state, [app.parameter]: app.key(row) }), rel: name }, label);
    return el("p", { class: "steps" },
      link("prev", "‹ previous", place > 0 ? rows[place - 1] : undefined), " ",
      link("next", "next ›", place >= 0 ? rows[place + 1] : undefined), " ",
      el("a", { href: alone(state), class: "permalink", title: "the address of this alone, to be shared" }, "link to this"));
  };

  const drawDetail = async (state, mine) => {
    if (chosen === undefined) return detail.replaceChildren();
    const parts = await app.detail(chosen, state);
    if (mine === turn) detail.replaceChildren(neighbours(state), ...parts);
  };

  const update = async () => {
    const mine = ++turn;
    const state = read();
    try {
      const key = JSON.stringify(filters({ ...state, ...Object.fromEntries((app.kept ?? []).map((name) => [name, ""])) }));
      if (key !== filtered) {
        filtered = undefined;
        say("reading …");
        let found = await app.rows(state);
        if (mine !== turn) return;
        if (state.text.trim()) {
          for await (const { matches, done, of } of app.search(state, found, state.text.trim().toLowerCase())) {
            if (mine !== turn) return;
            found = matches;
            if (done < of) say(`searching: ${count(matches.length)} found in ${done} of ${of} pieces`);
          }
        }
        rows = found;
        filtered = key;
      }
      const named = state[app.parameter] ? await app.find(state) : undefined;
      if (mine !== turn) return;
      chosen = named ?? rows[0];
      if (chosen !== undefined && rows.includes(chosen)) page = Math.floor(rows.indexOf(chosen) / PAGE);
      else page = 0;
      say(`${count(rows.length)} ${rows.length === 1 ? app.noun[0] : app.noun[1]}`);
      if (controls.some((control) => control.name !== "language" && state[control.name])) status.append(" · ", clear(state));
      drawList(state);
      await drawDetail(state, mine);
    } catch (error) {
      if (mine === turn) say(error.message);
    }
    if (mine === turn) document.body.dataset.ready = location.hash; // for tests: nothing more is coming
  };

  const changed = () => {
    const state = Object.fromEntries(controls.map((control) => [control.name, control.value]));
    if (hash(state) === current) return; // a field that was left as it was: a new list would swallow the click elsewhere
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of app.kept ?? []) state[name] = given.get(name);
    history.replaceState(null, "", hash(state));
    update();
  };
  let pause;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", changed);
  form.addEventListener("input", (event) => {
    clearTimeout(pause);
    if (event.target.type === "search") pause = setTimeout(changed, 300);
  });
  pager.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    page += button.name === "on" ? 1 : -1;
    drawList(read());
  });
  list.addEventListener("click", () => {
    if (matchMedia("(max-width: 60rem)").matches) detail.scrollIntoView();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { j: "next", ArrowRight: "next", k: "prev", ArrowLeft: "prev" }[event.key];
    if (step) detail.querySelector(`[rel="${step}"]`)?.click();
  });
  addEventListener("hashchange", update);
  update();
};
