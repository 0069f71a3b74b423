"""Table of GPU sizes: the advice agrees with the preflight's memory check."""

import re
from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.config.searches import searched_decoders
from polypref.plan.plan import Plan
from polypref.preflight.card_sizes import FITS, SIZES, TIGHT, card_rows, card_table
from polypref.preflight.estimating import longest_requests
from polypref.preflight.gpus import check_gpus

ROOT = Path(__file__).parents[2]
RAW = {
    name: yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    for name in ("single_gpu", "config", "demo")
}


def plan_of(name: str, checkpoints: dict | None = None, **training) -> Plan:
    raw = RAW[name] | {"checkpoints": checkpoints or {}, "training": RAW[name]["training"] | training}
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def longest(plan: Plan) -> dict[tuple[str, str], tuple[int, int]]:
    return longest_requests(plan, Path("no-results"))


def too_small(plan: Plan, size: float, what: str) -> bool:
    """Whether the preflight reports too little memory for a checkpoint's batches, or for training, on eight such GPUs.

    Without a config.json, the preflight only warns if the upper bound of the cache does not fit; the table counts that.
    """
    found = check_gpus(plan, [size] * 8, True, longest(plan), lambda *_: None)
    texts = " ".join(finding.what for finding in found if finding.level in ("error", "warning"))
    batches = [f"{t}/{n}" for t, n in plan.batches() if plan.batch_checkpoint(t, n) == what]
    return any(f"{batch} needs" in texts for batch in batches or ["training"])


@pytest.mark.parametrize("name", ["single_gpu", "config"])
@pytest.mark.parametrize("size", SIZES)
def test_the_advised_change_passes_the_memory_check(name, size):
    plan = plan_of(name)
    rows = {row["what"]: row[size] for row in card_rows(plan, longest(plan), lambda *_: None)}
    searched = searched_decoders(plan.config)  # not split over GPUs, so there is nothing to try
    assert len(rows) > 6
    for what, advice in rows.items():
        if what.startswith("training "):
            assert too_small(plan, size, "training") == (advice != FITS)
            continue
        assert too_small(plan, size, what) == (advice not in (FITS, TIGHT)), (what, advice)
        if not (found := re.match(r"(\w+): ([\d,]+)", advice)):
            assert advice in (FITS, TIGHT) or (what in searched and advice in ("4-bit checkpoint", "larger GPU"))
            continue
        number = int(found[2].replace(",", ""))
        change = {found[1]: number} | ({"gpus": number} if found[1] == "tensor_parallel" else {})
        entry = plan.config.checkpoints[what].model_dump(exclude_none=True)
        changed = plan_of(name, {what: entry | {"runtime": entry["runtime"] | change}})
        assert not too_small(changed, size, what), (what, advice)


def test_offloading_is_advised_if_training_is_too_large():
    whole = plan_of("single_gpu", lora=None)
    row = card_rows(whole, longest(whole), lambda *_: None)[-1]
    assert row["what"] == "training qwen2.5-1.5b" and row[80.0] == FITS
    assert "offload" in row[16.0]
    for size in SIZES:
        changes = dict.fromkeys(re.findall(r"\w+_offload", row[size]), True)
        assert not too_small(plan_of("single_gpu", lora=None, **changes), size, "training")


def test_the_table_is_empty_if_nothing_runs_on_a_gpu():
    demo, single = plan_of("demo"), plan_of("single_gpu")
    assert card_table(demo, longest(demo)) == ""
    head, _, *lines = card_table(single, longest(single)).splitlines()
    assert re.findall(r"(\d+) GB", head) == ["16", "24", "48", "80"]
    assert any(line.startswith("qwen2.5-7b ") for line in lines)
