"""The columns of every table that the workflow writes; every write is checked against them.

Each schema is a :class:`pyarrow.Schema`. It fixes the column order too, so that the same inputs give the same bytes.
Text columns are never null; a missing text is the empty string, with the reason in ``error``.
"""

import pyarrow as pa

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
"""Chat messages: a list of {role, content}, role one of system, user, assistant."""

FIELDS = ("prompt", "chosen", "rejected")
"""The texts of a preference pair."""


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=True) for name, kind in columns.items()])


# An English preference pair. `item_id`: digest of (source, prompt, chosen, rejected), 16 hex digits, assigned when the
# source is normalised. `row`: position in the source file or split, for error messages. `task`: task as named by the
# source. `prompt`: a prompt of several messages is in the text form of files.conversations, also in TEXTS.
PAIRS = _schema(
    item_id=pa.string(), source=pa.string(), row=pa.int64(), task=pa.string(),
    prompt=pa.string(), chosen=pa.string(), rejected=pa.string(),
)  # fmt: skip

# A dropped row and the reason. `step`: normalise, clean, contamination, deduplicate, length, render, sample, answer,
# diagnose or align (see sources.dropping).
DROPPED = _schema(
    source=pa.string(), row=pa.int64(), item_id=pa.string(), language=pa.string(), step=pa.string(), reason=pa.string(),
)  # fmt: skip

# A WMT24++ segment. `item_id`: "{document_id}:{segment_id}", the same in every language.
SEGMENTS = _schema(
    item_id=pa.string(), language=pa.string(), domain=pa.string(), document_id=pa.string(), segment_id=pa.int64(),
    source=pa.string(), reference=pa.string(),
)  # fmt: skip

# A segment of one's own test set: with all its references, of which `reference` is the first.
OWN_SEGMENTS = pa.schema([*SEGMENTS, ("references", pa.list_(pa.string()))])

# An evaluation prompt. `item_id`: digest of (config, id, language). `prompt_id`: shared by the translations of a source
# prompt; confidence intervals are clustered by it. `prompt`: as in PAIRS. `reference`: the suite's own target, for
# tests and the report.
PROMPTS = _schema(
    item_id=pa.string(), prompt_id=pa.string(), language=pa.string(), config=pa.string(),
    prompt=pa.string(), reference=pa.string(),
)  # fmt: skip

# A request. `request_id`: digest of the checkpoint's identity, messages, decoding and sample; null for a part that
# needs no completion. `decoding`: canonical JSON. A text that is split into parts (lines, sentences) has one row per
# part, with part = 0, 1, ...; `before` and `after` are text that is placed verbatim around the part's completion.
REQUESTS = _schema(
    request_id=pa.string(), item_id=pa.string(), language=pa.string(), model=pa.string(), part=pa.int32(),
    messages=MESSAGES, decoding=pa.string(), sample=pa.int32(), checkpoint=pa.string(), revision=pa.string(),
    before=pa.string(), after=pa.string(),
)  # fmt: skip

JUDGE_REQUESTS = pa.schema(
    [*REQUESTS, ("prompt_id", pa.string()), ("policy", pa.string()), ("opponent", pa.string()), ("order", pa.string())]
)

# A completion. `finish_reason`: stop, length or error. `logprobs`: JSON object {choice: natural-log probability} if the
# request has choices and the engine returns their probabilities, else null. `error`: null if the request succeeded.
COMPLETIONS = _schema(
    request_id=pa.string(), text=pa.string(), finish_reason=pa.string(), prompt_tokens=pa.int64(),
    completion_tokens=pa.int64(), logprobs=pa.string(), cost_usd=pa.float64(), error=pa.string(),
)  # fmt: skip

_PROVENANCE = [
    ("model", pa.string()),
    ("checkpoint", pa.string()),
    ("revision", pa.string()),
    ("decoding", pa.string()),
]

# A model's text for one item: a translation, a generated response or an answer to an evaluation prompt.
TEXTS = pa.schema(
    [
        ("item_id", pa.string()), ("language", pa.string()), ("text", pa.string()), ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64()), ("error", pa.string()), *_PROVENANCE,
    ]
)  # fmt: skip

# A preference pair in one language. chosen_messages and rejected_messages are whole conversations: the messages of the
# prompt, and the answer. prompt_messages are those of the prompt alone. `prompt`: a transcript for reading if the
# prompt has several messages. *_provenance: JSON {model, checkpoint, revision, decoding}, or {"model": "source"} for
# the English original.
DATASET = pa.schema(
    [
        ("item_id", pa.string()), ("language", pa.string()), ("source", pa.string()), ("task", pa.string()),
        ("prompt", pa.string()), ("chosen", pa.string()), ("rejected", pa.string()),
        ("prompt_messages", MESSAGES), ("chosen_messages", MESSAGES), ("rejected_messages", MESSAGES),
        ("prompt_provenance", pa.string()), ("chosen_provenance", pa.string()), ("rejected_provenance", pa.string()),
    ]
)  # fmt: skip

# Diagnostics of a preference pair in one language (see datasets.diagnostics). `*_language`: ISO 639-1 code that lingua
# detects, empty if the text is too short. `*_tokens`: counted with the trained model's tokeniser; `token_gap`: chosen
# minus rejected. `*_overlap`, `*_repetition`, `*_other_script` (Chinese): shares in [0, 1]. Of translations, compared
# with the English text: `*_length_ratio` (1: the usual length in the language) and `*_sentence_ratio`, null if the text
# is too short to tell; `*_lost_marks`: number of URLs, inline code, formulas and placeholders that are missing.
# `flags`: names in datasets.diagnostics.FLAGS.
DIAGNOSTICS = pa.schema(
    [
        ("item_id", pa.string()), ("language", pa.string()), ("source", pa.string()),
        *(
            (f"{field}_{signal}", kind)
            for field in ("prompt", "chosen", "rejected")
            for signal, kind in (
                ("language", pa.string()), ("tokens", pa.int64()), ("characters", pa.int64()),
                ("repetition", pa.float64()), ("source_overlap", pa.float64()), ("prompt_overlap", pa.float64()),
                ("truncated", pa.bool_()), ("other_script", pa.float64()), ("length_ratio", pa.float64()),
                ("sentence_ratio", pa.float64()), ("lost_marks", pa.int64()),
            )
        ),
        ("token_gap", pa.int64()), ("flags", pa.list_(pa.string())),
    ]
)  # fmt: skip

# With a rater (section `rating`), also the rating of each translation from 0 to 100, null if the field is no
# translation or has no rating.
RATED_DIAGNOSTICS = pa.schema([*DIAGNOSTICS, *((f"{field}_rating", pa.float64()) for field in FIELDS)])

# The rating of a translation. `rating`: 0 to 100, null unless `status` is parsed. `reply`: the rater's raw text.
# `status`: parsed, unparsed (the reply has no rating) or error (there is no reply).
RATINGS = pa.schema(
    [
        ("item_id", pa.string()), ("language", pa.string()), ("reply", pa.string()), ("rating", pa.float64()),
        ("status", pa.string()), ("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64()),
        ("error", pa.string()), *_PROVENANCE,
    ]
)  # fmt: skip

# One verdict. `order`: policy_first or opponent_first. `sample`: the run if each has its own reply (mode paper with a
# temperature above 0), else 0. `reply`: the judge's raw text. `status`: parsed, unparsed (the reply is not a verdict)
# or error (there is no reply). `verdict`: policy, opponent or tie; empty unless `status` is parsed. `logprobs`: by the
# labels A, B and TIE as shown to the judge.
VERDICTS = pa.schema(
    [
        ("item_id", pa.string()), ("prompt_id", pa.string()), ("language", pa.string()), ("policy", pa.string()),
        ("opponent", pa.string()), ("order", pa.string()), ("sample", pa.int32()), ("reply", pa.string()),
        ("verdict", pa.string()),
        ("status", pa.string()), ("logprobs", pa.string()), ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()), ("error", pa.string()), *_PROVENANCE,
    ]
)  # fmt: skip
