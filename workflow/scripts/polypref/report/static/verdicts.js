// The verdict browser: each judged pair with its verdicts and raw replies in both orders. See verdict_pieces.py for the
// data format.
(() => {
  const [POLICY, OPPONENT, TIE, UNPARSED, ERROR] = [0, 1, 2, 3, 4]; // as in verdict_pieces.py
  const FLAGS = ["wrong_language", "truncated", "repeats"]; // ANSWER_FLAGS in biases.py
  const LETTERS = ["W", "L", "T", "?", "!"];
  const CLASSES = ["win", "loss", "tie", "unparsed", "unparsed"];
  const options = [...document.querySelector("[name=language]").options].filter((option) => option.value !== "all");
  const directions = Object.fromEntries(options.map((option) => [option.value, option.dataset.direction]));
  const names = Object.fromEntries(options.map((option) => [option.value, option.text.split(" – ")[0]]));
  const sampled = document.querySelector(".sample") ? " in the sample" : "";
  const opened = new Map(); // maps a language to its index and one object per judged pair

  const open = async (language) => {
    if (!opened.has(language)) {
      const index = await polypref.load(`verdicts-${language}`);
      const pairs = index.rows.map(([prompt, policy, opponent, judge, ...orders]) => ({
        language, index, prompt, policy: index.policies[policy], opponent: index.opponents[opponent], judge: index.judges[judge],
        item: index.prompts[prompt][0], snippet: index.prompts[prompt][3],
        orders: [[orders[0], index.replies[orders[1]]], [orders[2], index.replies[orders[3]]]],
      }));
      opened.set(language, { index, pairs });
    }
    return opened.get(language);
  };
  const wanted = (state) => (state.language === "all" ? Object.keys(directions) : [state.language]);
  const outcome = (row) => {
    const [first, second] = row.orders.map(([verdict]) => verdict);
    if (first === ERROR || second === ERROR) return "error";
    if (first === UNPARSED || second === UNPARSED) return "unparsed";
    if (first === null || second === null) return "";
    if (first !== second) return "changed";
    return { [POLICY]: "policy", [OPPONENT]: "opponent", [TIE]: "tie" }[first];
  };

  const both = (row, table) => [row.policy, row.opponent].map((name) => row.index[table][row.prompt][row.index.names.indexOf(name)] ?? 0);
  // Whether the longer, or the shorter, of the two answers won in at least one order.
  const wonByLength = (row, wanted) => {
    const [own, other] = both(row, "lengths");
    const winner = own === other ? undefined : (own > other) === (wanted === "longer") ? POLICY : OPPONENT;
    return row.orders.some(([verdict]) => verdict === winner);
  };
  const hasOutcome = (row, wanted) =>
    !wanted || (wanted === "longer" || wanted === "shorter" ? wonByLength(row, wanted) : outcome(row) === wanted);
  // Whether an answer has a flag: that of the chosen policy or opponent, or either if both or none of them are chosen.
  const hasFlag = (row, state) => {
    if (!state.answer) return true;
    const [own, other] = both(row, "flags").map((bits) => bits & (1 << FLAGS.indexOf(state.answer)));
    if (state.policy && !state.opponent) return own;
    return state.opponent && !state.policy ? other : own || other;
  };

  const filtered = async (state) => {
    const found = await Promise.all(wanted(state).map(open));
    return found.flatMap(({ pairs }) => pairs).filter((row) =>
      (!state.policy || row.policy === state.policy) && (!state.opponent || row.opponent === state.opponent)
      && (!state.judge || row.judge === state.judge) && hasOutcome(row, state.outcome) && hasFlag(row, state));
  };

  async function* search(state, among, needle) {
    const files = wanted(state).flatMap((language) => {
      const { starts } = opened.get(language).index;
      return starts.map((start, place) => [language, pieceName(`answers-${language}`, place), start]);
    });
    const holds = (text) => text.toLowerCase().includes(needle);
    const hits = new Set(among.filter((row) => row.item === needle || row.orders.some(([, reply]) => reply && holds(reply))));
    const byPrompt = Map.groupBy(among, (row) => `${row.language} ${row.prompt}`);
    for (const [done, [language, name, start]] of files.entries()) {
      for (const [place, [prompt, , answers]] of (await polypref.load(name)).entries()) {
        const { index } = opened.get(language);
        for (const row of byPrompt.get(`${language} ${start + place}`) ?? []) {
          const own = [row.policy, row.opponent].map((model) => answers[index.names.indexOf(model)]?.[0] ?? "");
          if (holds(prompt) || own.some(holds)) hits.add(row);
        }
      }
      yield { matches: among.filter((row) => hits.has(row)), done: done + 1, of: files.length };
    }
  }

  const describe = (row, verdict) =>
    [`${row.policy} won`, `${row.opponent} won`, "tie", "unparsed reply", "no reply"][verdict] ?? "not judged";
  const letter = (row, order) => {
    const [verdict] = row.orders[order];
    const first = order ? row.opponent : row.policy;
    return el("span", { class: `verdict ${CLASSES[verdict] ?? ""}`, title: `${first} shown first: ${describe(row, verdict)}` }, LETTERS[verdict] ?? "–");
  };
  const key = (row) => [row.item, row.policy, row.opponent, row.judge].join("/");

  const line = (row) => [
    el("span", { class: "snippet", lang: row.language, dir: "auto" }, row.snippet),
    el("span", { class: "about" }, letter(row, 0), letter(row, 1), ` ${row.policy} against ${row.opponent} · ${names[row.language]}`),
  ];

  const judged = (row) => el("table", { class: "judged" },
    el("thead", {}, el("tr", {}, ...["Shown first", "Shown second", "Raw reply", "Verdict"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...row.orders.map(([verdict, reply], order) => el("tr", {},
      ...(order ? [row.opponent, row.policy] : [row.policy, row.opponent]).map((name) => el("td", {}, name)),
      el("td", {}, el("code", { class: "reply", dir: "auto" }, reply || (verdict === null ? "" : "(empty)"))),
      el("td", {}, letter(row, order), " ", describe(row, verdict))))));

  const answer = (name, [text, note], row, title) => el("div", { class: "answer-box" },
    el("h4", {}, title, " ", el("b", {}, name), note ? el("bdi", { class: "chip flag" }, note) : undefined),
    textBox(text, row.language, directions[row.language]));

  // Verdicts on the same prompt for every policy (rows) and opponent (columns).
  const others = (row, state) => {
    const same = opened.get(row.language).pairs.filter((other) => other.prompt === row.prompt && other.judge === row.judge);
    const opponents = [...new Set(same.map((other) => other.opponent))];
    const policies = [...new Set(same.map((other) => other.policy))];
    return el("table", { class: "others" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Policy"), ...opponents.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...policies.map((policy) => el("tr", {}, el("th", { scope: "row" }, policy), ...opponents.map((opponent) => {
        const other = same.find((pair) => pair.policy === policy && pair.opponent === opponent);
        if (!other) return el("td");
        const link = el("a", { href: hash({ ...state, pair: key(other) }), "aria-label": `${policy} against ${opponent}` }, letter(other, 0), letter(other, 1));
        if (other === row) link.setAttribute("aria-current", "true");
        return el("td", {}, link);
      })))));
  };

  const detail = async (row, state) => {
    const [prompt, reference, answers] = await loadRow(`answers-${row.language}`, row.index.starts, row.prompt);
    const rest = row.index.names.filter((name) => name !== row.policy && name !== row.opponent);
    const of = (model) => answers[row.index.names.indexOf(model)] ?? ["", "no answer"];
    const [id, source, config] = row.index.prompts[row.prompt];
    return [
      el("h3", {}, `${row.policy} against ${row.opponent}`),
      el("p", { class: "note" }, `${names[row.language]} · prompt ${source} from ${config} · `, el("code", {}, id), ` · judged by ${row.judge}`),
      el("div", { class: "scroll", tabindex: "0" }, judged(row)),
      el("h4", {}, "Prompt"), textBox(prompt, row.language, directions[row.language]),
      el("div", { class: "answers" }, answer(row.policy, of(row.policy), row, "Policy"), answer(row.opponent, of(row.opponent), row, "Opponent")),
      ...(reference ? [el("details", {}, el("summary", {}, "Reference answer of the evaluation suite (not shown to the judge)"), textBox(reference, row.language, directions[row.language]))] : []),
      el("details", { class: "rest" }, el("summary", {}, "Answers of the other models"),
        el("div", { class: "answers" }, ...rest.map((name) => answer(name, of(name), row, row.index.policies.includes(name) ? "Policy" : "Opponent")))),
      el("h4", {}, "Verdicts on all answers to this prompt"), el("div", { class: "scroll", tabindex: "0" }, others(row, state)),
    ];
  };

  browse({
    parameter: "pair", noun: [`judged pair${sampled}`, `judged pairs${sampled}`],
    rows: filtered, search, line, detail, key,
    find: async (state) => {
      const found = await Promise.all(wanted(state).map(open));
      return found.flatMap(({ pairs }) => pairs).find((row) => key(row) === state.pair);
    },
  });
})();
