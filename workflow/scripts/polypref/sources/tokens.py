"""Load a checkpoint's tokenizer and count tokens with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

CountTexts = Callable[[list[str]], list[int]]
"""Counts the tokens of each text."""


class TokenizerError(RuntimeError):
    """A checkpoint's tokenizer can't be read; the message names the checkpoint and the remedy."""


def load_tokenizer(path: str, revision: str | None) -> Any:
    """Load the Hugging Face tokenizer of a checkpoint from its folder or the Hub.

    Raises
    ------
    TokenizerError
    """
    from transformers import AutoTokenizer  # takes seconds to import

    try:
        return AutoTokenizer.from_pretrained(path, revision=revision)
    except (OSError, ValueError) as error:
        where = f"{path}{f' at {revision}' if revision else ''}"
        what = f"{where}: its tokenizer can't be read: {' '.join(str(error).split())}"
        if Path(path).is_dir():
            raise TokenizerError(f"{what}\nThe folder must be a checkpoint in the Hub's format.") from error
        raise TokenizerError(
            f"{what}\nCheck the network, or fetch the checkpoint beforehand (`snakemake fetch`). If it is gated, "
            f"accept its licence at https://huggingface.co/{path} and set HF_TOKEN."
        ) from error


def token_counter(tokenizer: Any) -> CountTexts:
    """Return a function that counts tokens with a Hugging Face tokenizer, without special tokens."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()  # some checkpoints have it in tokenizer.json

    def count(texts: list[str]) -> list[int]:
        if tokenizer.is_fast:  # computes only token ids, in parallel
            return [
                len(found) for found in tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            ]
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    return count
