"""Engine for encoder-decoder translators with language codes (NLLB-200), based on CTranslate2.

A checkpoint is converted once to CTranslate2's own format (:mod:`.conversion`). Each request sets the source and target
language with codes from the tokenizer's vocabulary.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from polypref.requests.engines import Completion, EngineError, Request
from polypref.requests.engines.conversion import convert, number_format
from polypref.requests.engines.cuda_libraries import LibraryError, load_for_ctranslate2

CHUNK = 16
"""Number of batches of ``batch_tokens`` that are translated in one call, assuming 64 tokens per sentence."""


def open_engine(checkpoint: Any, path: str, revision: str | None) -> Seq2SeqEngine:
    """Convert the checkpoint if it is not cached, and load it (see :func:`polypref.requests.engines.open_engine`).

    Raises
    ------
    EngineError
        The folder is missing, CTranslate2 does not support the model, or the model does not fit on the device.
    """
    if revision is None and not Path(path).is_dir():
        raise EngineError(
            f"{path}: no such folder. Create or download the checkpoint, or correct `path` in the registry"
        )
    import ctranslate2
    from transformers import AutoConfig, AutoTokenizer

    runtime = checkpoint.runtime
    options = {"revision": revision, "trust_remote_code": checkpoint.trust_remote_code}
    device = "cuda" if runtime.gpus else "cpu"
    try:
        if device == "cuda":
            load_for_ctranslate2()
        kind = number_format(checkpoint)
        config = AutoConfig.from_pretrained(path, **options)
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        converted = convert(path, revision, kind, checkpoint.trust_remote_code)
        translator = ctranslate2.Translator(
            str(converted),
            device=device,
            device_index=list(range(runtime.gpus)) if runtime.gpus else 0,
            compute_type=kind,
            intra_threads=runtime.threads,
        )
    except LibraryError as error:
        raise EngineError(f"{path}: {error}.") from error
    except (OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        remedy = "give it a GPU with more memory, or dtype: float16" if "out of memory" in text else _CHECK
        raise EngineError(f"{path}: CTranslate2 can't run it: {text[:500]}. Remedy: {remedy}.") from error
    return Seq2SeqEngine(translator, tokenizer, config.max_position_embeddings, runtime.batch_tokens)


_CHECK = "check path, revision and dtype in the registry; the model must be a translator such as NLLB-200 (M2M-100)"


class Seq2SeqEngine:
    """A loaded ``ctranslate2.Translator`` and the checkpoint's tokenizer (see :class:`.Engine`).

    ``positions``: maximum number of input tokens, including language code and end token. ``batch_tokens``: number of
    input tokens per forward pass, including padding.
    """

    def __init__(self, translator: Any, tokenizer: Any, positions: int, batch_tokens: int):
        self.translator, self.tokenizer = translator, tokenizer
        self.positions, self.batch_tokens = positions, batch_tokens
        self.vocabulary = tokenizer.get_vocab()
        self.special = set(tokenizer.all_special_ids)

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request, several batches at a time.

        The content of the last message is one sentence. Decoding is greedy, or beam search with ``beam_size``. An input
        that exceeds the model's positions, or an unknown language code, is a permanent error. ``max_tokens`` is limited
        to the model's positions.

        Raises
        ------
        EngineError
            The device failed. Completions that were already yielded are valid; the other requests can be retried.
        """
        source = iter(requests)
        while chunk := list(itertools.islice(source, CHUNK * max(1, self.batch_tokens // 64))):
            ready = []
            for request in chunk:
                try:
                    ready.append((request, self._tokens(request)))
                except (ValueError, TypeError) as error:  # TypeError: text with lone surrogates
                    yield Completion(request.request_id, error=str(error))
            ready.sort(
                key=lambda item: _decoding(item[0])
            )  # one call, one decoding; CTranslate2 sorts by length itself
            for (beams, max_tokens), group in itertools.groupby(ready, key=lambda item: _decoding(item[0])):
                yield from self._translate(list(group), beams, max_tokens)

    def close(self) -> None:
        """Free the device."""
        self.translator.unload_model()

    def _tokens(self, request: Request) -> list[str]:
        """Tokenise the input of a request; raise ValueError if it is too long or has an unknown language code."""
        decoding = request.decoding
        for side in ("source_code", "target_code"):
            code = decoding[side]
            if self.vocabulary.get(code) not in self.special:
                raise ValueError(f"{side} {code!r} is not a language code of this model's tokenizer")
        self.tokenizer.src_lang = decoding["source_code"]
        # Split special tokens, so that a sentence can't insert an end token or a language code.
        ids = self.tokenizer(request.messages[-1]["content"], split_special_tokens=True, truncation=False)["input_ids"]
        if len(ids) > self.positions:
            raise ValueError(
                f"the text has {len(ids)} tokens, but the model supports only {self.positions}; split it into sentences"
            )
        return self.tokenizer.convert_ids_to_tokens(ids)

    def _translate(self, group: list[tuple[Request, list[str]]], beams: int, max_tokens: int) -> Iterator[Completion]:
        limit = min(max_tokens, self.positions - 2)  # the decoder's start token and the language code take two
        try:
            results = self.translator.translate_batch(
                [tokens for _, tokens in group],
                target_prefix=[[request.decoding["target_code"]] for request, _ in group],
                max_batch_size=self.batch_tokens,
                batch_type="tokens",
                beam_size=beams,
                max_input_length=0,  # no truncation: the length was checked
                max_decoding_length=limit + 1,  # CTranslate2 counts the language code
                return_end_token=True,
            )
        except RuntimeError as error:
            raise EngineError(
                f"CTranslate2 stopped: {' '.join(str(error).split())[:500]}. Finished completions are kept; run again "
                "to continue, with a lower runtime.batch_tokens if it ran out of memory."
            ) from error
        for (request, tokens), result in zip(group, results, strict=True):
            answer = result.hypotheses[0][1:]
            ids = self.tokenizer.convert_tokens_to_ids(answer)
            yield Completion(
                request.request_id,
                text=self.tokenizer.decode(ids, skip_special_tokens=True),
                finish_reason="stop" if answer and answer[-1] == self.tokenizer.eos_token else "length",
                prompt_tokens=len(tokens),
                completion_tokens=len(answer),
            )


def _decoding(request: Request) -> tuple[int, int]:
    return request.decoding.get("beam_size", 1), request.decoding["max_tokens"]
