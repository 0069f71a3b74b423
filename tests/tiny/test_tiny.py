"""The miniature's files (sizes, tokenizer, chat template, columns of the data), and the rules of its world."""

import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from polypref.tiny import data, judge, models, world  # noqa: E402
from polypref.tiny.evaluate import read_prompts  # noqa: E402
from polypref.tiny.lexicon import LANGUAGES, WORDS  # noqa: E402
from polypref.tiny.tokenizer import build_tokenizer  # noqa: E402

DEMO = ROOT / "resources" / "demo"
LLAMAS = ("weak", "base", "mid", "strong", "judge")
TOKENIZER = build_tokenizer()


def ids(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def rows(*path):
    return [json.loads(line) for line in DEMO.joinpath(*path).read_text("utf-8").splitlines()]


# The world


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "old dog sees red book in garden."),
        ("ar", "يرى كلب عجوز كتاب أحمر في حديقة."),
        ("zh", "老狗在花园看见红色书。"),
        ("de", "alt Hund sieht in Garten rot Buch."),
        ("is", "gamall hundur sér rauður bók í garður."),
        ("ja", "古い犬は庭で赤い本を見る。"),
        ("nl", "oud hond ziet in tuin rood boek."),
        ("ru", "старый собака видит красный книга в сад."),
        ("es", "perro viejo ve libro rojo en jardín."),
    ],
)
def test_realise_uses_the_word_order_of_the_language(language, expected):
    phrases = (("S", ("old", "dog")), ("V", ("sees",)), ("O", ("red", "book")), ("P", ("in", "garden")))
    assert world.realise((world.Sentence("statement", phrases),), language) == expected


def test_a_wrong_answer_nearly_always_differs_from_the_correct_one():
    rng = random.Random(5)
    answers = [world.task(rng)[1] for _ in range(500)]
    assert sum(world.wrong(answer, rng) != answer for answer in answers) > 485


def test_agreement_ranks_a_corrupted_answer_below_the_correct_one():
    right = ["bear", "lives", "in", "forest", "."]
    assert judge.agreement(right, right) == 1
    assert judge.agreement(["bear", "lives", "in", "city", "."], right) == pytest.approx(0.8)
    assert judge.verdict(1.0, 0.8) == "A"
    assert judge.verdict(0.8, 1.0) == "B"
    assert judge.verdict(0.8, 0.8) == "TIE"


# The tokenizer


@given(st.text())
def test_the_tokenizer_decodes_any_text_without_loss(text):
    assert TOKENIZER.decode(ids(text)) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_the_world_is_one_token(language):
    for forms in WORDS.values():
        assert len(ids(forms[language])) == 1, forms[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_tokenised_word_by_word(language):
    rng = random.Random(3)
    for _ in range(200):
        text = world.line(rng)
        tokens = [token.strip() for token in TOKENIZER.convert_ids_to_tokens(ids(world.realise(text, language)))]
        assert tokens == world.realise_words(text, language)


def test_the_chat_template_starts_the_assistant_turn_and_ends_it_with_eos():
    chat = [{"role": "user", "content": "who sees dog?"}]
    prompt = TOKENIZER.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert prompt == "<s><|user|>who sees dog?<|assistant|>"
    answered = TOKENIZER.apply_chat_template([*chat, {"role": "assistant", "content": "cat."}], tokenize=False)
    assert answered == prompt + "cat.</s>"


def test_training_examples_are_encoded_as_the_chat_template_does():
    example = ("who sees dog?", "cat.")
    prompt, answer = models.encode(TOKENIZER, example)
    chat = [{"role": "user", "content": example[0]}, {"role": "assistant", "content": example[1]}]
    assert prompt + answer == TOKENIZER.apply_chat_template(chat, tokenize=True, return_dict=False)


def test_judge_examples_are_encoded_as_the_chat_template_does():
    template = (ROOT / "resources" / "prompts" / "judge-demo.txt").read_text("utf-8").rstrip("\n")
    examples = judge.Examples(TOKENIZER, template, frozenset())
    encoded, flags, closed, scores, verdict = examples.sample(random.Random(2))
    assert len(encoded) == len(flags)
    assert [TOKENIZER.decode(encoded[place]) for place in closed] == ["</answer_a>", "</answer_b>"]
    assert TOKENIZER.decode(verdict) == judge.verdict(*scores)
    text = TOKENIZER.decode(encoded)
    assert ids(text) == encoded
    user = text.removeprefix("<s><|user|>").removesuffix("<|assistant|>")
    chat = [{"role": "user", "content": user}]
    assert TOKENIZER.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) == text


# The shipped checkpoints


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) <= 15_000_000
    assert not [path for path in DEMO.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize("name", LLAMAS)
def test_decoder_checkpoints_are_complete(name):
    folder = DEMO / "models" / name
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert config["vocab_size"] == len(TOKENIZER)
    assert config["eos_token_id"] == TOKENIZER.eos_token_id
    model, _ = models.load(folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    shipped = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    assert shipped["model"]["vocab"] == json.loads(TOKENIZER.backend_tokenizer.to_str())["model"]["vocab"]


def test_nllb_translates_into_the_language_of_the_code():
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = DEMO / "models" / "nllb"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer("dog sees cat.")["input_ids"])[0] == "eng_Latn"
    out = model.generate(
        **tokenizer("dog sees cat.", return_tensors="pt"),
        forced_bos_token_id=tokenizer.convert_tokens_to_ids("deu_Latn"),
        max_length=32,
    )
    words = set(tokenizer.decode(out[0], skip_special_tokens=True).replace(".", "").split())
    assert words
    assert words <= {forms["de"] for forms in WORDS.values()}


# The data files


def test_generated_data_files_have_the_same_bytes(tmp_path):
    data.write_data(tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.jsonl"))
    assert written
    for path in written:
        assert (tmp_path / path).read_bytes() == (DEMO / path).read_bytes(), path


@pytest.mark.parametrize(
    ("source", "columns"),
    [
        ("chatbot_arena", "question_id model_a model_b winner judge conversation_a conversation_b turn anony language "
         "tstamp openai_moderation toxic_chat_tag"),
        ("helpsteer2", "prompt response helpfulness correctness coherence complexity verbosity"),
        ("tasksource", "task prompt chosen rejected"),
        ("gutenberg", "prompt chosen rejected chosen_model rejected_model"),
        ("math_step", "dataset prompt full_chosen full_rejected chosen rejected initial_reason_steps answer"),
    ],
)  # fmt: skip
def test_sources_have_the_real_columns(source, columns):
    table = rows("sources", f"{source}.jsonl")
    assert all(set(row) == set(columns.split()) for row in table)
    assert len(table) >= 10


def test_wmt_files_have_the_same_segments():
    first = rows("wmt24pp", "en-de_DE.jsonl")
    assert len(first) >= 30
    assert any("\n" in row["source"] for row in first)
    for locale in data.LOCALES.values():
        table = rows("wmt24pp", f"en-{locale}.jsonl")
        assert [row["source"] for row in table] == [row["source"] for row in first]
        assert sum(row["is_bad_source"] for row in table) == 2
        assert {row["lp"] for row in table} == {f"en-{locale}"}


def test_aya_files_have_the_same_prompts_in_all_languages():
    for language in LANGUAGES:
        prompts = read_prompts(DEMO / "aya", language)
        assert [row["id"] for row in prompts] == list(range(data.PROMPTS))
        assert all(set(row) == {"id", "inputs", "targets", "language", "script"} for row in prompts)
    assert {row["script"] for row in rows("aya", "dolly_machine_translated", "zho.jsonl")} == {"Hans", "Hant"}


@pytest.mark.e2e  # takes some seconds
def test_evaluation_and_training_prompts_are_disjoint():
    evaluation = {row["inputs"] for row in rows("aya", "dolly_machine_translated", "eng.jsonl")}
    preference = {
        row["prompt"]
        for name in ("helpsteer2", "tasksource", "gutenberg", "math_step")
        for row in rows("sources", f"{name}.jsonl")
    }
    assert evaluation.isdisjoint(preference)
    rng = random.Random(1)
    sampled = {models.make_example(rng, data.held_out_lines())[0] for _ in range(2000)}
    assert sampled.isdisjoint(evaluation & data.held_out_lines())
