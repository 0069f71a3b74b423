"""Write data set cards in the Hub's format, which ``datasets.load_dataset`` reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from polypref.config.licenses import compose
from polypref.datasets.exports import data_files

Row = dict[str, Any]
_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]


def size_category(rows: int) -> str:
    """Return the Hub's size category for a number of rows."""
    return next((name for limit, name in _SIZES if rows < limit), "1M<n<10M")


def card(
    name: str,
    title: str,
    architecture: dict[str, Any],
    languages: dict[str, str],
    licenses: dict[str, str],
    rows: Iterable[Row],
    dropped: Iterable[Row],
    diagnostics: Iterable[Row] = (),
    test_share: float = 0.0,
) -> str:
    """Write the README of a data set.

    Parameters
    ----------
    architecture : {field: "english", {"translate": model}, {"generate": model} or {"native": set}}
    languages : {code: English name}
    licenses : {source or checkpoint: licence}
    rows : rows with at least ``language`` and ``source``; with ``prompt_messages``, conversations are counted
    dropped : rows with at least ``language`` and ``reason``
    diagnostics : rows with at least ``language``, ``token_gap`` and ``flags``
    test_share : share of the items in the test split
    """
    composed = compose(licenses)
    kept, sources, roles = _count(rows, "language", "source", "prompt_messages")
    lost, reasons = _count(dropped, "language", "reason")
    header = {
        "pretty_name": f"{title}: {name}",
        "language": sorted(languages),
        "license": composed.license,
        **({"license_name": "composed"} if composed.license == "other" else {}),
        "task_categories": ["text-generation"],
        "tags": ["preference", "dpo", "synthetic", "multilingual", "polypref"],
        "size_categories": [size_category(kept.total())],
        "configs": data_files(test_share),
    }
    table = [f"| {languages[code]} (`{code}`) | {kept[code]:,} | {lost[code]:,} |" for code in languages]
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n",
        f"# {title}: {name}\n",
        "Preference pairs (prompt, chosen, rejected) created by the workflow polypref from English pairs.\n",
        "## How each field was created\n",
        *[f"- **{name}**: {_made(made)}" for name, made in architecture.items()],
        "\nNothing is translated into English: fields that are translated in other languages contain the original.\n",
        "## Rows\n",
        "| language | rows | dropped |\n|---|---|---|",
        *table,
        "\nBy source: " + ", ".join(f"{source} {count:,}" for source, count in sorted(sources.items())) + ".\n",
        *(
            ["Left out: " + "; ".join(f"{_plain(r)} ({n:,})" for r, n in reasons.most_common(10)) + ".\n"]
            if reasons
            else []
        ),
        *_diagnosed(diagnostics, languages),
        "## Columns\n",
        "`item_id` is the same for one English pair in every language and architecture. `prompt`, `chosen` and",
        "`rejected` are texts; `prompt_messages`, `chosen_messages` and `rejected_messages` are the same as chat",
        "messages, whole conversations for the last two (as OpenRLHF and TRL read them). `*_provenance` names the",
        "checkpoint, revision and decoding that produced a field.\n",
        *_conversations(roles),
        "## Loading\n",
        "```python\nfrom datasets import load_dataset\n\n"
        f'pairs = load_dataset("path/to/datasets/{name}", split="train")\n'
        f'chats = load_dataset("path/to/datasets/{name}", "conversations", split="train")  # for TRL\n```\n',
        "In the configuration `conversations`, `prompt`, `chosen` and `rejected` are lists of messages, to which",
        "trainers apply the chat template of the model. `croissant.json` describes all files (Croissant 1.0).",
        *(
            [f"The split `test` has {test_share:.0%} of the items, the same in every language and architecture."]
            if test_share
            else []
        ),
        "",
        "## Licence\n",
        f"Created from data and models under the licences below. The strictest one is of the kind *{composed.kind}* "
        f"({', '.join(composed.strictest)}); each licence still applies to its part. This is not legal advice.\n",
        *[f"- {what}: {licence}" for what, licence in licenses.items()],
        "",
    ]
    return "\n".join(parts)


def _count(rows: Iterable[Row], *columns: str) -> list[Counter[Any]]:
    """Count the values of some columns in one pass; for messages, the roles are counted."""
    counts: list[Counter[Any]] = [Counter() for _ in columns]
    for row in rows:
        for count, column in zip(counts, columns, strict=True):
            value = row.get(column)
            count[tuple(message["role"] for message in value) if isinstance(value, list) else value] += 1
    return counts


@dataclass
class _Diagnosed:
    """Sums of the diagnostics of a language."""

    pairs: int = 0
    gap: int = 0
    flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)


def _diagnosed(diagnostics: Iterable[Row], languages: dict[str, str]) -> list[str]:
    """Write the section on diagnostics: per language, the most frequent flags of all pairs that could be built."""
    sums: dict[str, _Diagnosed] = defaultdict(_Diagnosed)
    for row in diagnostics:
        found = sums[row["language"]]
        found.pairs += 1
        found.gap += row["token_gap"]
        found.flagged += bool(row["flags"])
        found.flags.update(row["flags"])
    if not sums:
        return []
    lines = [
        "## Diagnostics\n",
        "Possible faults of the pairs, found by rules and not checked by people. Such pairs are in the data unless the",
        "list above says that they were dropped. Gap: mean number of tokens of chosen minus that of rejected.\n",
        "| language | pairs | gap | flagged | most frequent flags |\n|---|---|---|---|---|",
    ]
    for code, name in languages.items():
        mine = sums[code]
        common = ", ".join(f"{flag.replace('_', ' ')} {n:,}" for flag, n in mine.flags.most_common(3))
        gap = mine.gap / max(mine.pairs, 1)
        lines.append(f"| {name} | {mine.pairs:,} | {gap:+.1f} | {mine.flagged:,} | {common or '–'} |")
    return [*lines, ""]


def _conversations(roles: Counter[tuple[str, ...] | None]) -> list[str]:
    """Write the paragraph on prompts of several messages, if there are any; ``roles``: number of rows by roles."""
    several = sum(rows for found, rows in roles.items() if found and len(found) > 1)
    system = sum(rows for found, rows in roles.items() if found and "system" in found)
    if not several:
        return []
    return [
        f"In {several:,} of {roles.total():,} rows the prompt is a conversation: a system message ({system:,} rows),",
        "several turns, or both. There, `prompt` is a transcript for reading, with a role before each message.",
        "Train on `chosen_messages` and `rejected_messages`, which have roles and differ only in the last message.\n",
    ]


def _made(made: Any) -> str:
    if isinstance(made, dict) and "native" in made:
        return f"written in the language (set `{made['native']}`), in English the original of the base set"
    if isinstance(made, dict) and "translate" in made:
        return f"the English original translated by `{made['translate']}`"
    if isinstance(made, dict):
        return f"generated in the language by `{made['generate']}`"
    return "the English original"


def _plain(text: str) -> str:
    """Remove line breaks and markup characters from a drop reason, because it may quote a server's message."""
    return " ".join("".join(char for char in text if char not in "<>|`*_[]#").split())[:120]
