"""Prompts written in a language are filtered, cleaned, deduplicated and sampled, and every row is accounted for."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from reporting import Named, run_script
from rows_in_memory import reader

from polypref.config.native_prompts import NativePrompts
from polypref.config.sections import Sampling
from polypref.files.conversations import to_messages
from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.tables import TableError, read_rows
from polypref.sources.native import normalise_native, sample_native
from polypref.sources.templates import load_trainee

NATIVE = NativePrompts(path="set.jsonl", prompt="inputs", language="code")
ROWS = [
    {"inputs": "Nenne einen Fluss.\r\n", "code": "deu"},
    {"inputs": "Name a river.", "code": "eng"},
    {"inputs": "Nenne einen See.", "code": "de"},
    {"inputs": [{"role": "system", "content": "Kurz."}, {"role": "user", "content": "Und nun?"}], "code": "deu"},
    {"inputs": "Nenne einen Fluss.", "code": "deu"},
]


def normalised(rows=ROWS, **changes):
    dropped = []
    native = NATIVE.model_copy(update=changes)
    return list(normalise_native("n", native, rows, "de", {"de", "deu"}, dropped.append)), dropped


def test_the_rows_of_a_language_become_prompts():
    prompts, dropped = normalised()
    assert [row["row"] for row in prompts] == [1, 3, 4] and all(set(row) == set(PAIRS.names) for row in prompts)
    assert prompts[0]["prompt"] == "Nenne einen Fluss." and prompts[0]["source"] == "n"
    assert [message["role"] for message in to_messages(prompts[2]["prompt"])] == ["system", "user"]
    assert [(row["row"], row["language"], row["reason"]) for row in dropped] == [(5, "de", "the same prompt as row 1")]
    assert set(dropped[0]) == set(DROPPED.names)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (" ", "prompt is empty"),
        (None, "prompt must be a text or a list"),
        ([{"role": "assistant", "content": "x"}], "prompt must end with a turn of the user"),
    ],
)
def test_an_unusable_prompt_is_an_error_that_names_file_row_and_remedy(value, reason):
    rows = [*ROWS[:1], {"inputs": value, "code": "deu"}]
    with pytest.raises(TableError, match=rf"set.jsonl, row 2: {reason}.*native.n.bad_rows: drop"):
        normalised(rows)
    prompts, dropped = normalised(rows, bad_rows="drop")
    assert len(prompts) == 1 and dropped[0]["reason"].startswith(reason)


def test_a_language_without_prompts_is_an_error():
    with pytest.raises(TableError, match="no row is a prompt in de with de or deu in the column code"):
        normalised(ROWS[1:2])


def test_prompts_are_sampled_like_pairs():
    tokenizer = load_trainee("resources/demo/models/base", None, None)
    prompts, _ = normalised([{"inputs": f"Frage {n} " + "x " * (400 * (n == 3)), "code": "de"} for n in range(8)])
    one, rest = (list(part) for part in sample_native("n", reader(prompts), 3, 1, 100, tokenizer))
    more, left = (list(part) for part in sample_native("n", reader(prompts), 20, 1, 100, tokenizer))
    assert {row["item_id"] for row in one} < {row["item_id"] for row in more}
    assert (len(one), len(rest), len(more)) == (3, 5, 7)
    assert [(row["row"], row["step"]) for row in left] == [(4, "length")]


def test_prompts_of_the_evaluation_set_are_left_out(tmp_path):
    """Regression: the script failed on the option `sampling.contaminated`."""
    text = Path("resources/demo/aya/dolly_machine_translated/deu.jsonl").read_text(encoding="utf-8")
    asked = json.loads(text.splitlines()[0])
    rows = [{"prompt": asked["inputs"]}, {"prompt": "Nenne mir einen Fluss."}]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "eval.jsonl").write_text(text, encoding="utf-8")
    out = {"prompts": tmp_path / "native/n/de.parquet", "dropped": tmp_path / "native/n/de.dropped.parquet"}
    run_script(
        "sample_native",
        wildcards=SimpleNamespace(native="n", language="de"),
        input=SimpleNamespace(
            data=[str(tmp_path / "own.jsonl")], trainee=[], evaluation=[str(tmp_path / "eval.jsonl")]
        ),
        output=Named(out),
        params=SimpleNamespace(
            native={"path": str(tmp_path / "own.jsonl")}, iso="deu", evaluation={"configs": []},
            sampling=Sampling().model_dump(exclude={"contaminated"}),
            trainee={"path": "resources/demo/models/base", "revision": None, "chat_template": None},
        ),
    )  # fmt: skip
    (kept,) = read_rows(out["prompts"], PAIRS)
    (left,) = read_rows(out["dropped"], DROPPED)
    assert kept["prompt"] == "Nenne mir einen Fluss." and (left["row"], left["language"]) == (1, "de")
    assert (left["step"], left["reason"]) == ("contamination", f"evaluation prompt {asked['id']} in deu (exact)")


def test_paths_name_the_language():
    native = NativePrompts(path="own/{language}-{iso}.jsonl", subset="{iso}").of_language("de", "deu")
    assert (native.path, native.subset) == ("own/de-deu.jsonl", "deu")
