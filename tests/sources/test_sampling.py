"""Sampling: larger samples contain smaller ones, sources are balanced, and every pair is accounted for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows_in_memory import reader

from polypref.files import sorting
from polypref.files.conversations import to_text
from polypref.files.digests import digest, pair_id
from polypref.requests.asking import RequestSettings
from polypref.requests.translate import ask_translations
from polypref.sources import sampling
from polypref.sources.sampling import Measured, dropped_row, pair_measure, prompt_key
from polypref.sources.templates import EMPTY, EQUAL, load_trainee
from polypref.sources.tokens import TokenizerError


def pairs(source: str, prompts: list[str]) -> list[dict]:
    rows = []
    for n, prompt in enumerate(prompts, 1):
        item_id = pair_id(source, prompt, f"c{n}", "r")
        rows.append(
            {
                "item_id": item_id,
                "source": source,
                "row": n,
                "task": "t",
                "prompt": prompt,
                "chosen": f"c{n}",
                "rejected": "r",
            }
        )
    return rows


def count(rows: list[dict]) -> list[Measured]:
    return [Measured(max(len(row["prompt"]) + len(row[field]) for field in ("chosen", "rejected"))) for row in rows]


def sample_pairs(sources, items, seed, max_tokens, count):
    made = sampling.sample_pairs({name: reader(rows) for name, rows in sources.items()}, items, seed, max_tokens, count)
    return tuple(map(list, made))


def one_at_a_time(sources, items, seed, max_tokens):
    """Reference implementation that samples with all pairs in memory."""
    drawn, dropped, prompts = [], [], {}

    def candidates(rows):
        for row in sorted(rows, key=lambda row: digest(seed, prompt_key(row["prompt"]))):
            key, tokens = (
                prompt_key(row["prompt"]),
                count([row])[0].tokens,
            )
            if key in prompts:
                dropped.append(dropped_row(row, "deduplicate", f"the same prompt as {prompts[key]}"))
            elif tokens > max_tokens:
                dropped.append(dropped_row(row, "length", f"{tokens} tokens, more than {max_tokens}"))
            else:
                prompts[key] = row["item_id"]
                yield row

    turns = [candidates(sources[name]) for name in sorted(sources)]
    while turns and len(drawn) < items:
        for turn in list(turns):
            pair = next(turn, None) if len(drawn) < items else {}
            if pair is None:
                turns.remove(turn)
            elif pair:
                drawn.append(pair)
    settled = {row["item_id"] for row in [*drawn, *dropped]}
    rows = [row for name in sources for row in sources[name] if row["item_id"] not in settled]
    dropped += [dropped_row(row, "sample", "not sampled") for row in rows]
    return sorted(drawn, key=lambda r: r["item_id"]), sorted(dropped, key=lambda r: (r["source"], r["row"]))


SOURCES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.lists(st.text("xyz", min_size=1, max_size=6), max_size=12), min_size=1
).map(lambda made: {name: pairs(name, prompts) for name, prompts in made.items()})


@given(SOURCES, st.integers(1, 20), st.integers(1, 20), st.integers(0, 3))
def test_a_larger_sample_contains_every_smaller_one(sources, small, more, seed):
    first, _ = sample_pairs(sources, small, seed, 7, count)
    second, _ = sample_pairs(sources, small + more, seed, 7, count)
    assert {row["item_id"] for row in first} <= {row["item_id"] for row in second}


@given(SOURCES, st.integers(1, 30), st.integers(0, 3), st.integers(3, 9))
def test_the_sample_equals_that_of_a_sequential_reference(sources, items, seed, max_tokens):
    assert sample_pairs(sources, items, seed, max_tokens, count) == one_at_a_time(sources, items, seed, max_tokens)


def test_only_candidates_are_tokenised(monkeypatch):
    counted = []

    def spy(rows):
        counted.append(len(rows))
        return count(rows)

    monkeypatch.setattr(sampling, "COUNTED_AT_ONCE", 10)
    sources = {"s": pairs("s", [f"p{n}" for n in range(1000)])}
    sample_pairs(sources, 25, 1, 100, spy)
    assert counted == [10, 10, 5], "each sampled pair, ten at a time"


@given(SOURCES, st.integers(1, 20))
def test_every_pair_is_sampled_or_dropped_exactly_once(sources, items):
    drawn, dropped = sample_pairs(sources, items, 1, 7, count)
    everything = [(row["source"], row["row"]) for rows in sources.values() for row in rows]
    assert sorted((r["source"], r["row"]) for r in [*drawn, *dropped]) == sorted(everything)
    assert len({" ".join(r["prompt"].casefold().split()) for r in drawn}) == len(drawn) <= items
    assert all(found.tokens <= 7 for found in count(drawn))


@given(SOURCES, st.integers(1, 20), st.data())
def test_edited_answers_do_not_change_the_sample(sources, items, data):
    """Regression: a row with an edited answer was replaced by another one in the sample."""
    edited = {name: [dict(row) for row in rows] for name, rows in sources.items()}
    if rows := [row for rows in edited.values() for row in rows]:
        row = data.draw(st.sampled_from(rows))
        row["chosen"] = "c+"
        row["item_id"] = pair_id(row["source"], row["prompt"], "c+", "r")
    before, after = (
        {(r["source"], r["row"]) for r in sample_pairs(s, items, 1, 99, count)[0]} for s in (sources, edited)
    )
    assert before == after


@given(SOURCES, st.randoms())
def test_the_order_of_rows_does_not_matter(sources, random):
    shuffled = {name: random.sample(rows, len(rows)) for name, rows in sorted(sources.items(), reverse=True)}
    one, two = sample_pairs(sources, 5, 1, 9, count)[0], sample_pairs(shuffled, 5, 1, 9, count)[0]
    same_prompt = {" ".join(row["prompt"].split()) for row in one} == {" ".join(row["prompt"].split()) for row in two}
    assert same_prompt


def test_other_sources_make_up_for_small_ones():
    sources = {"big": pairs("big", [f"big {n}" for n in range(50)]), "small": pairs("small", ["s1", "s2"])}
    drawn, dropped = sample_pairs(sources, 20, 1, 100, count)
    assert [sum(r["source"] == s for r in drawn) for s in ("big", "small")] == [18, 2]
    assert {r["reason"] for r in dropped} == {"not sampled"}


def test_a_pair_that_renders_equal_is_replaced_by_another():
    def measure(rows):
        return [Measured(1, "equal" if int(row["prompt"][1:]) % 2 else "") for row in rows]

    drawn, dropped = sample_pairs({"s": pairs("s", [f"p{n}" for n in range(12)])}, 6, 1, 100, measure)
    assert [int(row["prompt"][1:]) % 2 for row in drawn] == [0] * 6
    assert {(row["step"], row["reason"]) for row in dropped} <= {("render", "equal"), ("sample", "not sampled")}


TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'].split('</think>')[-1] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def measured(chosen: str, rejected: str, template: str | None = TEMPLATE) -> Measured:
    tokenizer = load_trainee("resources/demo/models/base", None, template)
    row = {"item_id": "a", "prompt": "Name a river.", "chosen": chosen, "rejected": rejected}
    return pair_measure(tokenizer)([row])[0]


def test_pairs_are_measured_with_the_configured_template():
    assert measured("no </think> Rhine", "yes </think> Rhine").fault == EQUAL
    assert measured("no </think> Rhine", "yes </think> Rhine", None).fault == ""
    assert measured("no </think> Rhine", "yes </think> ").fault == EMPTY
    assert measured("no </think> Rhine", "Danube").fault == ""
    assert measured("no </think> Rhine", "Danube").tokens < measured("no </think> Rhine", "Danube", None).tokens


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (TEMPLATE.replace("'<|assistant|>'", "'<|assistant|>hm'"), "item a in English: .* its own prompt"),
        ("{{ strftime_now('%d %b') }}" + TEMPLATE, "writes today's date"),
    ],
)
def test_an_untrainable_template_is_an_error(template, message):
    with pytest.raises(TokenizerError, match=message):
        measured("Rhine", "Danube", template)


NO_SYSTEM = TEMPLATE.replace(
    "{% for m", "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{% for m", 1
)


def chat(*roles: str) -> str:
    return to_text([(role, f"{role} {place}") for place, role in enumerate(roles)])


def test_the_whole_conversation_is_measured():
    def tokens(prompt: str, template: str = TEMPLATE) -> Measured:
        tokenizer = load_trainee("resources/demo/models/base", None, template)
        row = {"item_id": "a", "prompt": prompt, "chosen": "Rhine", "rejected": "Danube"}
        return pair_measure(tokenizer)([row])[0]

    one, three = tokens(chat("user")), tokens(chat("user", "assistant", "user"))
    assert three.tokens > 2 * one.tokens > 0 and not three.fault
    system = chat("system", "user")
    merged = tokens(system, NO_SYSTEM)
    assert merged == tokens("system 0\n\nuser 1") and merged.tokens > tokens("user 1").tokens, (
        "the system message is counted too"
    )


def test_a_conversation_that_the_template_refuses_is_dropped_with_the_reason():
    strict = TEMPLATE.replace(
        "{% for m in messages %}",
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}",
    )
    tokenizer = load_trainee("resources/demo/models/base", None, strict)
    prompts = [chat("user", "user"), chat("user", "assistant", "user"), "plain"]
    rows = [{"item_id": "a", "prompt": prompt, "chosen": "Rhine", "rejected": "Danube"} for prompt in prompts]
    first, *others = pair_measure(tokenizer)(rows)
    assert first.fault == "the chat template refuses the conversation: roles must alternate"
    assert [found.fault for found in others] == ["", ""] and all(found.tokens > 0 for found in others)


def test_conversations_with_the_same_text_in_other_roles_are_not_the_same_prompt():
    prompts = ["system a user b", to_text([("system", "a"), ("user", "b")]), to_text([("user", "a"), ("user", "b")])]
    assert len({prompt_key(prompt) for prompt in prompts}) == 3
    assert prompt_key(to_text([("system", "A  b"), ("user", "c")])) == prompt_key(chat_of("system", "a B", "user", "C"))


def chat_of(*parts: str) -> str:
    return to_text(list(zip(parts[::2], parts[1::2], strict=True)))


def test_another_seed_gives_another_sample():
    sources = {"s": pairs("s", [f"p{n}" for n in range(100)])}
    one, two = sample_pairs(sources, 20, 1, 100, count)[0], sample_pairs(sources, 20, 2, 100, count)[0]
    assert {r["item_id"] for r in one} != {r["item_id"] for r in two}


def test_fifty_more_items_need_fifty_more_requests_per_language_and_field():
    sources = {name: pairs(name, [f"{name} {n}" for n in range(400)]) for name in "vwxyz"}
    asked = RequestSettings("m", "owner/name", "abc", False, {"temperature": 0.0, "max_tokens": 8})

    def requests(items: int) -> dict[tuple[str, str], set[str]]:
        drawn, _ = sample_pairs(sources, items, 1, 100, count)
        assert len(drawn) == items
        return {
            (field, code): {
                r["request_id"] for r in ask_translations(drawn, field, asked, "instruct", "none", code, name)
            }
            for field in ("prompt", "chosen")
            for code, name in (("de", "German"), ("is", "Icelandic"))
        }

    before, after = requests(1250), requests(1300)
    new = {key: after[key] - before[key] for key in before}
    assert all(before[key] <= after[key] for key in before)
    # the prompts differ, but the n-th answers of all sources are equal, so they are requested once
    assert {key: len(ids) for key, ids in new.items() if key[0] == "prompt"} == {
        ("prompt", "de"): 50,
        ("prompt", "is"): 50,
    }
    assert all(len(ids) <= 50 for ids in new.values())


def test_a_source_is_read_as_often_for_large_samples_as_for_small_ones(monkeypatch):
    """Regression: each ten thousand sampled rows were looked for in the whole source."""
    monkeypatch.setattr(sorting, "RUN", 7)
    rows, reads = pairs("s", [f"p{n}" for n in range(100)]), []

    def read(columns=None, chosen=None):
        reads.append(columns)
        return reader(rows)(columns, chosen)

    for items in (5, 95):
        reads.clear()
        drawn, rest = sampling.sample_pairs({"s": read}, items, 1, 100, count)
        ids = [row["item_id"] for row in drawn]
        assert len(ids) == items == len(set(ids)) and ids == sorted(ids) and len(list(rest)) == 100 - items
        assert len(reads) == 3, "keys, tokens and texts"
