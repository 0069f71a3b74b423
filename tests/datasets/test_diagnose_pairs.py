"""The script of the rule diagnose_pairs, with the parameters that the plan of the miniature gives it."""

from pathlib import Path
from types import SimpleNamespace

import yaml
from reporting import run_script

from polypref.config.loading import load_config, read_languages
from polypref.files.schemas import DIAGNOSTICS, FIELDS, PAIRS, TEXTS
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows
from polypref.plan.plan import Plan
from polypref.plan.settings import expected_texts

ROOT = Path(__file__).parents[2]
ENGLISH = "The river was wide and slow. Nobody crossed it before noon. Willows stood on the bank. Where was the boat?"
PAIR = {"item_id": "a", "source": "s", "row": 1, "task": "", "prompt": ENGLISH, "chosen": f"See `boat` now. {ENGLISH}",
        "rejected": ENGLISH}  # fmt: skip
CHINESE = {
    "prompt": "河流又寬又慢。中午之前沒有人渡河。岸邊長著老柳樹。船到哪裡去了？",
    "chosen": "现在看船。河流又宽又慢。中午之前没有人渡河。岸边长着老柳树。船到哪里去了？",
    "rejected": "河流又宽又慢。",
}


def test_flags_of_a_translated_and_of_a_generated_pair(tmp_path):
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    plan = Plan(load_config(raw, ROOT), read_languages(ROOT))
    write_table(tmp_path / "pairs.parquet", [PAIR], PAIRS)
    for field, text in CHINESE.items():
        made = {"item_id": "a", "language": "zh", "text": text, "finish_reason": "stop", "prompt_tokens": 1,
                "completion_tokens": 1, "error": None, "model": "m", "checkpoint": "c", "revision": "r",
                "decoding": "{}"}  # fmt: skip
        write_table(tmp_path / f"{field}.parquet", [made], TEXTS)
    flags = {}
    for name in "AB":
        run_script(
            "diagnose_pairs",
            wildcards=SimpleNamespace(architecture=name),
            input={"pairs": tmp_path / "pairs.parquet", "trainee": [],
                   "texts": [str(tmp_path / f"{field}.parquet") for field in FIELDS]},
            output={"diagnostics": tmp_path / name / "diagnostics.parquet"},
            params={"fields": {"zh": {field: str(tmp_path / f"{field}.parquet") for field in FIELDS}},
                    "trainee": {"path": str(ROOT / "resources/demo/models/base"), "revision": None},
                    "languages": ["zh", "ja"], "expected": expected_texts(plan, name)},
        )  # fmt: skip
        (row,) = read_rows(tmp_path / name / "diagnostics.parquet", DIAGNOSTICS)
        flags[name] = row["flags"]
    assert flags["A"] == ["prompt_wrong_script", "chosen_loses_markup", "rejected_incomplete"]
    assert flags["B"] == ["prompt_wrong_script"], "generated answers are not compared with the English ones"
