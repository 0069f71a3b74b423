"""The trainee's tokenizer: the first thing that a run reads of a gated model, so its fault has to say what to do."""

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


def test_one_that_is_not_on_this_machine_names_checkpoint_page_and_remedy(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TokenizerError) as caught:
        load_tokenizer("demo/gated", "c0ffee")
    text = str(caught.value)
    assert text.startswith("demo/gated at c0ffee: its tokenizer can't be read") and "snakemake fetch" in text
    assert "https://huggingface.co/demo/gated and HF_TOKEN" in text


def test_a_folder_that_is_no_checkpoint(tmp_path):
    with pytest.raises(TokenizerError, match=f"{tmp_path}: its tokenizer can't be read"):
        load_tokenizer(str(tmp_path), None)
