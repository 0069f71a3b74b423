"""Subpackages import in one direction only, and rules, scripts, subpackages and tests have matching names."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools/describe_package.py"))
PAGE = TOOL["PAGE"].read_text(encoding="utf-8")
IMPORTS = TOOL["imports"]()
ORDER = TOOL["package_order"](PAGE)
# modules outside the order: `python -m polypref` imports the command line
TOP = {"__init__", "__main__"}
# scripts that no rule runs, and what runs them
WITHOUT_RULE = {"make_tiny_models": "make tiny-models", "openrlhf_launcher": "training/trainer.py",
                "push_dataset": "make push", "complete_shard": "requests/sharding.py"}  # fmt: skip


def test_the_table_lists_every_subpackage():
    found = {
        path.stem for path in TOOL["PACKAGE"].iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert found - TOP == set(ORDER) and len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize(("importing", "imported"), sorted(IMPORTS))
def test_a_subpackage_imports_only_earlier_ones(importing, imported):
    if importing not in TOP:
        places = IMPORTS[importing, imported]
        assert ORDER.index(imported) < ORDER.index(importing), (
            f"{', '.join(places)}: {imported} comes after {importing}"
        )


def test_the_generated_opening_is_up_to_date():
    opening = PAGE.split(TOOL["BEGIN"])[1].split(TOOL["END"])[0]
    assert opening == TOOL["opening"](ORDER), "run `make architecture`"


def test_every_rule_file_has_its_subpackage_and_every_script_its_rule():
    assert {file for file, (place, _) in TOOL["rule_files"]().items() if place not in ORDER} == set()
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    names = set(re.findall(r"^ *rule (\w+):", rules, re.MULTILINE))
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
    shared = {"collect_texts"}  # run by collect_translations, collect_responses and collect_answers
    assert scripts - names - shared == set(WITHOUT_RULE)


def test_test_folders_are_named_after_subpackages():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("test_*.py"))}
    assert folders - set(ORDER) <= {"e2e", "repository", "slurm"}
