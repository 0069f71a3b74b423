"""Errors of the trained model's tokenizer, the first file of a gated model that a run reads, name a remedy."""

from pathlib import Path

import pytest

from polypref.sources.tokens import TokenizerError, load_tokenizer, token_counter

WEAK = Path(__file__).parents[2] / "resources/demo/models/weak"


def test_a_tokenizer_is_loaded_and_counts():
    tokenizer = load_tokenizer(str(WEAK), None)
    assert token_counter(tokenizer)(["hello you", ""]) == [
        len(tokenizer.encode("hello you", add_special_tokens=False)),
        0,
    ]


def test_a_missing_tokenizer_is_an_error_that_names_checkpoint_page_and_remedy(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TokenizerError) as caught:
        load_tokenizer("demo/gated", "c0ffee")
    text = str(caught.value)
    assert text.startswith("demo/gated at c0ffee: its tokenizer can't be read") and "snakemake fetch" in text
    assert "https://huggingface.co/demo/gated and set HF_TOKEN" in text


def test_a_folder_that_is_not_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(TokenizerError, match=f"{tmp_path}: its tokenizer can't be read"):
        load_tokenizer(str(tmp_path), None)
