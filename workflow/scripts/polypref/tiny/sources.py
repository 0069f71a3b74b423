"""The miniature's five English preference sources, each with the columns of the real data set that it represents."""

import random

from polypref.tiny.world import (
    Text,
    ask_colour,
    ask_description,
    ask_home,
    ask_sum,
    ask_who,
    realise,
    task,
    wrong,
)

PAIRS = 15  # usable pairs per source, before duplicates
Row = dict[str, object]
Pair = tuple[str, str, str]  # prompt, chosen, rejected

# Plain English texts written for this file, as in a real data set; they are not in the language of the world.
PLAIN = (
    ("What should I pack for a day at the beach?", "Pack water, sunscreen, a towel and a hat.", "A beach is sand."),
    ("Give me a tip for sleeping better.", "Go to bed at the same time every night.", "Sleep."),
    ("Write one sentence about an empty lighthouse.", "The lamp still turned, though nobody watched.", "It was big."),
)


def _pair(example: tuple[Text, Text], rng: random.Random, taken: set[str]) -> Pair | None:
    prompt, answer = example
    bad = wrong(answer, rng)
    texts = realise(prompt, "en"), realise(answer, "en"), realise(bad, "en")
    if texts[0] in taken or texts[1] == texts[2]:
        return None
    taken.add(texts[0])
    return texts


def _pairs(rng: random.Random, taken: set[str], generate=task, count: int = PAIRS) -> list[Pair]:
    """Generate `count` pairs whose prompts are not in `taken`, and add the prompts to it."""
    pairs: list[Pair] = []
    while len(pairs) < count:
        if pair := _pair(generate(rng), rng, taken):
            pairs.append(pair)
    return pairs


def _two_sums(rng: random.Random) -> tuple[Text, Text]:
    (first, one), (second, two) = ask_sum(rng), ask_sum(rng)
    return first + second, one + two


def _two_facts(rng: random.Random) -> tuple[Text, Text]:
    (first, one), (second, two) = ask_colour(rng), ask_home(rng)
    return first + second, one + two


def _prose(rng: random.Random) -> tuple[Text, Text]:
    return ask_who(rng) if rng.random() < 0.7 else ask_description(rng)


def _conversation(*turns: str) -> list[Row]:
    roles = ("user", "assistant")
    return [{"content": text, "role": roles[i % 2]} for i, text in enumerate(turns)]


def chatbot_arena(rng: random.Random, taken: set[str]) -> list[Row]:
    """Two answers and a vote; the normaliser must drop ties, longer conversations and other languages."""
    rows: list[Row] = []

    def add(left: list[Row], right: list[Row], winner: str, language: str = "English") -> None:
        number = len(rows)
        rows.append({
            "question_id": f"demo{number:04d}", "model_a": "tiny-strong", "model_b": "tiny-weak", "winner": winner,
            "judge": f"arena_user_{number % 7}", "conversation_a": left, "conversation_b": right,
            "turn": len(left) // 2, "anony": True, "language": language, "tstamp": 1682351591.0 + 60 * number,
            "openai_moderation": {"categories": {}, "category_scores": {}, "flagged": False},
            "toxic_chat_tag": {"roberta-large": {"flagged": False, "probability": 0.01}},
        })  # fmt: skip

    for prompt, chosen, rejected in [*_pairs(rng, taken), PLAIN[0]]:
        good, bad = _conversation(prompt, chosen), _conversation(prompt, rejected)
        add(*((good, bad, "model_a") if rng.random() < 0.5 else (bad, good, "model_b")))
    for winner in ("tie", "tie", "tie (bothbad)"):
        (prompt, chosen, rejected) = _pairs(rng, taken, count=1)[0]
        add(_conversation(prompt, chosen), _conversation(prompt, chosen if winner == "tie" else rejected), winner)
    for _ in range(2):
        (one, good, bad), (two, better, worse) = _pairs(rng, taken, count=2)
        add(_conversation(one, good, two, better), _conversation(one, bad, two, worse), "model_a")
    for language, name in (("de", "German"), ("es", "Spanish")):
        prompt, answer = ask_colour(rng)
        good = _conversation(realise(prompt, language), realise(answer, language))
        add(good, _conversation(realise(prompt, language), realise(wrong(answer, rng), language)), "model_a", name)
    return rows


def helpsteer2(rng: random.Random, taken: set[str], repeated: list[Pair]) -> list[Row]:
    """Two rated responses per prompt in consecutive rows; for two prompts the sums of the ratings are equal."""
    rows: list[Row] = []
    for i, (prompt, chosen, rejected) in enumerate([*_pairs(rng, taken, count=PAIRS + 2), PLAIN[1], *repeated]):
        rated = [(chosen, (4, 4, 4), 1, 1), (rejected, (rng.randrange(3), rng.randrange(3), rng.randrange(2, 5)), 1, 1)]
        if i in (3, 8):
            rated[1] = (rejected, (4, 4, 4), 2, 1)
        if rng.random() < 0.5:
            rated.reverse()
        for response, (helpfulness, correctness, coherence), complexity, verbosity in rated:
            rows.append({
                "prompt": prompt, "response": response, "helpfulness": helpfulness, "correctness": correctness,
                "coherence": coherence, "complexity": complexity, "verbosity": verbosity,
            })  # fmt: skip
    return rows


def tasksource(rng: random.Random, taken: set[str], repeated: list[Pair]) -> list[Row]:
    return [
        {"task": "demo/facts", "prompt": prompt, "chosen": chosen, "rejected": rejected}
        for prompt, chosen, rejected in [*_pairs(rng, taken, _two_facts), *repeated]
    ]


def gutenberg(rng: random.Random, taken: set[str]) -> list[Row]:
    return [
        {
            "prompt": prompt, "chosen": chosen, "rejected": rejected,
            "chosen_model": "human", "rejected_model": "tiny-weak",
        }
        for prompt, chosen, rejected in [*_pairs(rng, taken, _prose), PLAIN[2]]
    ]  # fmt: skip


def math_step(rng: random.Random, taken: set[str]) -> list[Row]:
    """The texts after `initial_reason_steps`: the next step, and the full rest, which is the same step here."""
    rows: list[Row] = []
    while len(rows) < PAIRS:
        prompt, (first, last) = _two_sums(rng)
        bad = wrong((last,), rng)
        english = realise(prompt, "en")
        if english in taken or bad == (last,) or len(bad) > 1:
            continue
        taken.add(english)
        step, good = realise((first,), "en"), realise((last,), "en")
        rows.append({
            "dataset": "demo", "prompt": english, "full_chosen": good, "full_rejected": realise(bad, "en"),
            "chosen": good, "rejected": realise(bad, "en"), "initial_reason_steps": step,
            "answer": last.phrases[-1][1][0],
        })  # fmt: skip
    return rows


def make_sources(rng: random.Random, taken: set[str]) -> dict[str, list[Row]]:
    """Generate all five sources, without the prompts in `taken`; a few pairs occur in three sources."""
    repeated = _pairs(rng, taken, count=2)
    arena = chatbot_arena(rng, taken)
    copy = arena[0]["conversation_a"], arena[0]["conversation_b"]
    good, bad = copy if arena[0]["winner"] == "model_a" else copy[::-1]
    repeated.append((good[0]["content"], good[1]["content"], bad[1]["content"]))
    return {
        "chatbot_arena": arena,
        "helpsteer2": helpsteer2(rng, taken, repeated),
        "tasksource": tasksource(rng, taken, repeated),
        "gutenberg": gutenberg(rng, taken),
        "math_step": math_step(rng, taken),
    }
