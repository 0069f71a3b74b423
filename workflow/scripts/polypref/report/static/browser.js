// Code shared by the reader and the verdict browser: safe text nodes, filters stored in the URL, and a paginated list.
const PAGE = 50;
const LONGEST = 20000; // number of characters shown before "Show all" is clicked
// Invisible characters and characters that reorder text. Keep this list identical to the one in polypref/report/text.py.
const UNSEEN = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}])/u;

// The code point of a character matched by UNSEEN, for example U+202E.
const codeOf = (part) => `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

// Text nodes in which invisible characters are replaced by their code points.
const plain = (text) =>
  text.replaceAll("\r\n", "\n").split(UNSEEN).filter(Boolean).map((part) =>
    UNSEEN.test(part) ? el("span", { class: "unseen", title: "invisible character" }, codeOf(part)) : part);

// All elements are created by this function. Strings are inserted as text nodes only, never as HTML.
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

// The child nodes for a text in a box of the given direction. In a right-to-left box, lines without any right-to-left
// letter, such as code and formulas, are set from left to right.
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

// A text from a model or a data set, in its own direction and isolated from the surrounding text. Long texts are
// truncated until the user asks for the rest.
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

// Runs a browser page. `app.rows(state)` resolves to the rows that match all filters except the text search;
// `app.search(state, rows)` yields the rows that contain the text; `app.key(row)` is the row's identifier in the URL
// parameter `app.parameter`; `app.line(row)` and `app.detail(row, state)` render a row in the list and in the detail
// pane; `app.find(state)` resolves to the row that the URL identifies; `app.about(state)`, if there is one, returns a
// text to show next to the number of rows.
const browse = (app) => {
  const form = document.querySelector(".filters");
  const [status, list, pager, detail] = [".status", ".list", ".pager", ".pane"].map((name) => document.querySelector(name));
  const controls = [...form.elements].filter((control) => control.name);
  let rows = [];
  let chosen;
  let page = 0;
  let filtered; // the filters that produced `rows`
  let drawn; // page and filters of the list as currently displayed
  let turn = 0;
  let current; // the filters last read from the URL

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
  const showStatus = (text) => status.replaceChildren(...plain(text));

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
    // Scroll only the list, and only if the selected row is out of sight.
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
      el("a", { href: alone(state), class: "permalink", title: "a link to this entry without the filters" }, "permalink"));
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
        showStatus("Loading …");
        let found = await app.rows(state);
        if (mine !== turn) return;
        if (state.text.trim()) {
          for await (const { matches, done, of } of app.search(state, found, state.text.trim().toLowerCase())) {
            if (mine !== turn) return;
            found = matches;
            if (done < of) showStatus(`Searching: ${count(matches.length)} found in ${done} of ${of} files`);
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
      const about = app.about?.(state);
      showStatus(`${count(rows.length)} ${rows.length === 1 ? app.noun[0] : app.noun[1]}${about ? ` · ${about}` : ""}`);
      if (controls.some((control) => control.name !== "language" && state[control.name])) status.append(" · ", clear(state));
      drawList(state);
      await drawDetail(state, mine);
    } catch (error) {
      if (mine === turn) showStatus(error.message);
    }
    if (mine === turn) document.body.dataset.ready = location.hash; // tests wait for this: the update is complete
  };

  const changed = () => {
    const state = Object.fromEntries(controls.map((control) => [control.name, control.value]));
    if (hash(state) === current) return; // unchanged field: redrawing the list would swallow the click that moved the focus
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
