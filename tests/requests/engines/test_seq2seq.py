"""Long inputs for NLLB are split; an input that can't be split is an error and is never truncated."""

from dataclasses import asdict

from polypref.requests.asking import RequestSettings
from polypref.requests.collect import collect_texts
from polypref.requests.engines import Request
from polypref.requests.engines.seq2seq import Seq2SeqEngine
from polypref.requests.splitting import LONGEST_SENTENCE
from polypref.requests.translate import ask_translations

CODES = {"source_code": "eng_Latn", "target_code": "deu_Latn"}


class Tokenizer:
    """A token per character."""

    all_special_ids = (0, 1)
    eos_token = "</s>"

    def get_vocab(self):
        return {"eng_Latn": 0, "deu_Latn": 1}

    def __call__(self, text, split_special_tokens, truncation):
        assert split_special_tokens and not truncation
        return {"input_ids": list(map(ord, text))}

    def convert_ids_to_tokens(self, ids):
        return list(map(chr, ids))

    def convert_tokens_to_ids(self, tokens):
        return tokens

    def decode(self, tokens, skip_special_tokens):
        return "".join(token for token in tokens if token != self.eos_token)


class Translator:
    """Returns its inputs in capitals, and records their lengths and whether truncation was requested."""

    def __init__(self):
        self.lengths = []

    def translate_batch(self, batch, max_input_length, **_):
        assert max_input_length == 0, "0 means that CTranslate2 does not truncate"
        self.lengths += map(len, batch)
        return [type("R", (), {"hypotheses": [["deu_Latn", *"".join(t).upper(), "</s>"]]})() for t in batch]


def answers(rows: list[dict], positions: int) -> tuple[dict, Translator]:
    translator = Translator()
    engine = Seq2SeqEngine(translator, Tokenizer(), positions, 4096)
    asked = [Request(r["request_id"], r["messages"], {"max_tokens": 512, **CODES}) for r in rows if r["request_id"]]
    return {c.request_id: asdict(c) for c in engine.complete(asked)}, translator


def ask(text: str) -> list[dict]:
    asked = RequestSettings("nllb", "o/n", "r", False, {"max_tokens": 512, **CODES})
    return ask_translations(
        [{"item_id": "i", "rejected": text}], "rejected", asked, "text", "sentences", "de", "German"
    )


def test_a_long_text_is_split_without_loss():
    text = " ".join(f"This is sentence number {n}, which goes on for a while." for n in range(200))
    found, translator = answers(ask(text), 1024)
    assert max(translator.lengths) <= LONGEST_SENTENCE
    (row,) = collect_texts(ask(text), found, "f")
    assert row["text"] == text.upper() and row["error"] is None


def test_a_text_that_cannot_be_split_is_an_error_and_the_others_are_translated():
    text = "A good sentence. " + "x" * 2000
    found, translator = answers(ask(text), 1024)
    errors = [c["error"] for c in found.values() if c["error"]]
    assert len(errors) == 1 and "2000 tokens, but the model supports only 1024" in errors[0]
    assert len(found) == 2 and max(translator.lengths) <= 1024
    (row,) = collect_texts(ask(text), found, "f")
    assert (row["text"], row["finish_reason"]) == ("", "error") and "supports only 1024" in row["error"]
