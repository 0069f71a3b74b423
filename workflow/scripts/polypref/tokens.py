"""Counting tokens with a Hugging Face tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CountTexts = Callable[[list[str]], list[int]]
"""Tokens of each text."""


def token_counter(tokenizer: Any) -> CountTexts:
    """Count tokens with a Hugging Face tokenizer, without special ones."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()

    def count(texts: list[str]) -> list[int]:
        if tokenizer.is_fast:  # token ids alone, in parallel
            return [
                len(found) for found in tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            ]
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    return count
