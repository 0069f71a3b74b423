// The reader: each English pair beside its version in every architecture. See preference_pieces.py for the data format.
(() => {
  const FIELDS = ["prompt", "chosen", "rejected"];
  const languages = Object.fromEntries([...document.querySelector("[name=language]").options].map((option) => [option.value, option]));
  const english = new Intl.DisplayNames(["en"], { type: "language" }); // lingua may detect languages outside the data sets
  let all; // items of the base set
  let here; // flags and dropped pairs in the displayed language
  const sampled = document.querySelector(".sample") ? " in the sample" : "";
  let rows; // one object per item, independent of the filters; `native`: the language of a native prompt

  const open = async (state) => {
    const [items, language] = await Promise.all([polypref.load("items"), polypref.load(`reader-${state.language}`)]);
    all = items;
    here = language;
    rows ??= items.items.map(([id, source, task, snippet, native], number) => ({ number, id, source, task, snippet, native }));
  };
  const flagsOf = (bits) => all.flags.filter((_, number) => bits & (1 << number));

  const filtered = async (state) => {
    await open(state);
    const among = all.architectures.map((_, number) => number)
      .filter((number) => !state.architecture || all.architectures[number] === state.architecture);
    const mask = state.flag === "any" ? -1 : 1 << all.flags.indexOf(state.flag);
    const wanted = (number) => {
      if (!state.flag) return true;
      if (state.flag === "left") return among.some((a) => here.left[a][number]);
      return among.some((a) => here.flags[a][number] & mask);
    };
    const spoken = (row) => !row.native || row.native === state.language;
    return rows.filter((row) => (!state.source || row.source === state.source) && spoken(row) && wanted(row.number));
  };

  async function* search(state, among, needle) {
    const hits = new Set(among.filter((row) => row.id === needle).map((row) => row.number));
    const files = [["original", all.original], [`reader-${state.language}`, here.starts]]
      .flatMap(([stem, starts]) => starts.map((start, place) => [pieceName(stem, place), start]));
    const matches = () => among.filter((row) => hits.has(row.number));
    for (const [done, [name, start]] of files.entries()) {
      const held = await polypref.load(name);
      for (const [place, row] of held.entries()) {
        const texts = typeof row[0] === "string" ? row : row[0];
        if (texts.some((text) => text.toLowerCase().includes(needle))) hits.add(start + place);
      }
      yield { matches: matches(), done: done + 1, of: files.length };
    }
  }

  const line = (row) => [
    el("span", { class: "snippet", lang: row.native || "en", dir: row.native ? "auto" : "ltr" }, row.snippet),
    el("span", { class: "about" }, row.source, ...all.architectures.flatMap((name, number) => {
      const flags = flagsOf(here.flags[number][row.number]);
      const left = here.left[number][row.number];
      if (!flags.length && !left) return [];
      const title = [...flags.map(words), ...(left ? [here.reasons[left]] : [])].join(", ");
      return [" ", el("span", { class: left ? "chip left" : "chip flag", title }, `${name} ${left ? "×" : `⚑${flags.length}`}`)];
    })),
  ];

  const cell = (state, field, number, name, row, [texts, cells, signals]) => {
    const place = FIELDS.indexOf(field);
    const made = cells[number];
    const flags = flagsOf(here.flags[number][row.number]).filter((flag) => flag.startsWith(field));
    const [spoken, tokens, rating] = signals[number] ? signals[number].slice(3 * place) : ["", undefined, null];
    const marks = [
      ...(spoken && spoken !== state.language ? [el("span", { class: "chip" }, `detected as ${english.of(spoken)}`)] : []),
      ...(tokens === undefined ? [] : [el("span", {}, `${count(tokens)} tokens`)]),
      ...(rating === null ? [] : [el("span", { class: "rating" }, `rated ${count(Math.round(rating))}`)]),
      ...flags.map((flag) => el("span", { class: "chip flag", title: `flag: ${words(flag)}` }, words(flag.slice(field.length + 1)))),
    ];
    if (!made) {
      const reason = here.reasons[here.left[number][row.number]];
      return el("td", { "data-label": name }, el("em", { class: "gone" }, "dropped: ", el("bdi", {}, reason || "not in the data set")), el("p", { class: "marks" }, ...marks));
    }
    const same = all.architectures.slice(0, number).find((_, other) => cells[other]?.[place] === made[place]);
    const provenance = here.made[made[place + 3]];
    const direction = spoken && spoken !== state.language ? "auto" : languages[state.language].dataset.direction;
    return el("td", { "data-label": name },
      textBox(texts[made[place]], state.language, direction),
      el("p", { class: "marks" }, el("span", { title: provenance }, provenance.split(":")[0]), ...(same ? [el("span", { class: "same" }, `same as ${same}`)] : []), ...marks));
  };

  const columns = (state) => (state.show ? state.show.split(",") : ["English", ...all.architectures]);
  const chooser = (state) => {
    const shown = columns(state);
    const boxes = ["English", ...all.architectures].map((name) => {
      const box = el("input", { type: "checkbox", value: name });
      box.checked = shown.includes(name);
      return el("label", {}, box, ` ${name}`);
    });
    const group = el("p", { class: "columns" }, "Columns: ", ...boxes);
    group.addEventListener("change", () => {
      const names = [...group.querySelectorAll(":checked")].map((box) => box.value);
      const whole = names.length === boxes.length || !names.length;
      location.hash = hash({ ...state, show: whole ? "" : names.join(",") });
    });
    return group;
  };

  const detail = async (row, state) => {
    const [texts, made] = await Promise.all([
      loadRow("original", all.original, row.number),
      loadRow(`reader-${state.language}`, here.starts, row.number),
    ]);
    const shown = columns(state);
    const architectures = all.architectures.map((name, number) => [name, number]).filter(([name]) => shown.includes(name));
    const original = shown.includes("English") && !row.native;
    const head = el("tr", {}, el("td"), ...(original ? [el("th", { scope: "col" }, "English original")] : []),
      ...architectures.map(([name]) => el("th", { scope: "col" }, name)));
    const body = FIELDS.map((field, place) => el("tr", { class: field }, el("th", { scope: "row" }, field),
      ...(original ? [el("td", { "data-label": "English original" }, textBox(texts[place], "en", "ltr"))] : []),
      ...architectures.map(([name, number]) => cell(state, field, number, name, row, made))));
    return [
      el("h3", {}, el("code", {}, row.id)),
      el("p", { class: "note" }, row.source, " · ", ...(row.task ? [el("bdi", {}, row.task), " · "] : []), languages[state.language].text),
      chooser(state),
      el("div", { class: "scroll", tabindex: "0" }, el("table", { class: `texts columns${architectures.length + original}` }, el("thead", {}, head), el("tbody", {}, ...body))),
    ];
  };

  // How many pairs of a data set have a flag, also outside a sample; undefined if other filters are set.
  const inAll = (state) => {
    const number = all.architectures.indexOf(state.architecture);
    if (!here.counts || number < 0 || !state.flag || state.source || state.text) return undefined;
    return `${count(here.counts[number][state.flag] ?? 0)} in the data set`;
  };

  browse({
    parameter: "item", kept: ["show"], noun: [`pair${sampled}`, `pairs${sampled}`], about: inAll,
    rows: filtered, search, line, detail,
    key: (row) => row.id,
    find: async (state) => { await open(state); return rows.find((row) => row.id === state.item); },
  });
})();
