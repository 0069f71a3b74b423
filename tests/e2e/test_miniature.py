"""The results of the miniature are complete, consistent, and differ between models in the expected direction."""

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import sacrebleu

from polypref.files.schemas import DATASET

ROOT = Path(__file__).parents[2]
TARGETS = ["ar", "de", "es", "is", "ja", "nl", "ru", "zh"]
LANGUAGES = ["en", *TARGETS]


def chrf(hypothesis: str, reference: str) -> float:
    return sacrebleu.sentence_chrf(hypothesis, [reference], word_order=2).score


def test_the_summary_names_the_report_and_counts_engine_starts(miniature):
    assert "Report:    results/report/index.html" in miniature.output
    starts, batches = map(int, re.search(r"Engine starts: (\d+), batches .*?: (\d+)", miniature.output).groups())
    costs = [json.loads(p.read_text()) for p in (miniature.results / "completions").glob("*/*.cost.json")]
    per_batch = {f"{cost['task']}/{cost['checkpoint']}": cost["engine_starts"] for cost in costs}
    assert batches == len(costs) and starts == sum(per_batch.values())
    # vLLM samples, and transformers runs the beam searches of the same batch
    assert {name for name, number in per_batch.items() if number != 1} == {"translate/strong"}
    assert per_batch["translate/strong"] == 2


def test_every_job_has_a_log(miniature):
    logs = {path.parent.name for path in (miniature.results / "logs").glob("*/*.log")}
    assert {"complete", "train_policy", "ask_translations", "build_dataset"} <= logs


# -- expected differences between models ----------------------------------------------------------------------------


def test_stronger_translators_score_higher_in_most_languages(miniature):
    scores = pd.read_csv(miniature.results / "tables/translation_scores.csv", keep_default_na=False)
    wide = scores.pivot(index="language", columns="translator", values="bleu_corpus").astype(float)
    assert list(wide.index) == TARGETS
    assert (wide["strong-beam"] > wide["weak"]).sum() >= 6
    assert (wide["strong-beam"] > wide["nllb"]).sum() >= 5
    assert (wide["nllb"] > wide["weak"]).sum() >= 5


def test_the_chosen_generator_answers_better_than_the_rejected_one(miniature):
    dataset = {name: pd.read_parquet(miniature.results / f"datasets/{name}.parquet") for name in "AB"}
    both = dataset["B"].merge(dataset["A"], on=["item_id", "language"], suffixes=("", "_reference"))
    chosen = [chrf(*pair) for pair in zip(both["chosen"], both["chosen_reference"], strict=True)]
    rejected = [chrf(*pair) for pair in zip(both["rejected"], both["chosen_reference"], strict=True)]
    better = pd.DataFrame({"language": both["language"], "gap": pd.Series(chosen) - pd.Series(rejected)})
    assert (better.groupby("language")["gap"].mean() > 0).sum() >= 8
    assert better["gap"].mean() > 5


def test_the_judge_usually_prefers_the_better_answer(miniature):
    verdicts = read_all(miniature.results / "verdicts")
    answers = read_all(miniature.results / "answers", named="who")
    prompts = pd.concat(pd.read_parquet(path) for path in (miniature.results / "prompts").glob("*.parquet"))
    scored = answers.merge(prompts[["item_id", "reference"]], on="item_id")
    scored["score"] = [chrf(*pair) for pair in zip(scored["text"], scored["reference"], strict=True)]
    score = scored.set_index(["who", "item_id"])["score"]
    decided = verdicts[verdicts["verdict"].isin(["policy", "opponent"])]
    own = score.loc[list(zip(decided["policy"], decided["item_id"], strict=True))].to_numpy()
    theirs = score.loc[list(zip(decided["opponent"], decided["item_id"], strict=True))].to_numpy()
    gap = own - theirs
    right = (gap > 0) == (decided["verdict"] == "policy").to_numpy()
    clear = abs(gap) > 1
    assert clear.sum() > 300 and right[clear].mean() > 0.6
    by_language = pd.Series(right[clear]).groupby(decided["language"].to_numpy()[clear]).mean()
    assert (by_language > 0.5).sum() >= 8


# -- tables, recomputed by independent code -------------------------------------------------------------------------


def read_all(folder: Path, named: str | None = None) -> pd.DataFrame:
    frames = []
    for path in sorted(folder.glob("*/*.parquet")):
        frame = pd.read_parquet(path)
        frames.append(frame.assign(**{named: path.parent.name}) if named else frame)
    return pd.concat(frames, ignore_index=True)


def test_win_rates_agree_with_the_verdicts(miniature):
    verdicts = read_all(miniature.results / "verdicts")
    table = pd.read_csv(miniature.results / "tables/win_rates.csv")
    assert len(table) == 4 * 2
    for row in table.itertuples():
        own = verdicts[(verdicts["policy"] == row.policy) & (verdicts["opponent"] == row.opponent)]
        own = own[own["status"] != "error"]
        counts = own["verdict"].value_counts()
        assert row.win_percent == pytest.approx(100 * counts.get("policy", 0) / len(own), abs=1e-4)
        assert row.loss_percent == pytest.approx(100 * counts.get("opponent", 0) / len(own), abs=1e-4)
        assert row.tie_percent == pytest.approx(100 * counts.get("tie", 0) / len(own), abs=1e-4)


def test_every_prompt_is_judged_in_both_orders(miniature):
    verdicts = read_all(miniature.results / "verdicts")
    assert len(verdicts) == 9 * 12 * 4 * 2 * 2
    keys = ["item_id", "policy", "opponent"]
    assert (verdicts.groupby(keys)["order"].nunique() == 2).all()
    assert set(verdicts["reply"]) <= {"A", "B", "TIE", ""}


def test_scores_agree_with_the_translations(miniature):
    table = pd.read_csv(miniature.results / "tables/translation_scores.csv")
    for row in table[table["language"].isin(["de", "ja"])].itertuples():
        segments = pd.read_parquet(miniature.results / f"wmt/{row.language}.parquet").set_index("item_id")
        path = miniature.results / f"translations/wmt/source/{row.translator}/{row.language}.parquet"
        texts = pd.read_parquet(path).set_index("item_id").loc[segments.index, "text"]
        tokenizer = "ja-mecab" if row.language == "ja" else "13a"
        bleu = sacrebleu.corpus_bleu(list(texts), [list(segments["reference"])], tokenize=tokenizer)
        assert row.bleu_corpus == pytest.approx(bleu.score, abs=1e-3)


def test_every_pair_in_every_language_is_kept_or_dropped(miniature):
    pairs = pd.read_parquet(miniature.results / "pairs.parquet")
    for name in "ABC":
        rows = pd.read_parquet(miniature.results / f"datasets/{name}.parquet")
        dropped = pd.read_parquet(miniature.results / f"datasets/{name}.dropped.parquet")
        assert list(rows.columns) == DATASET.names
        assert len(rows) + len(dropped) == len(pairs) * 9
        both = pd.concat([rows[["item_id", "language"]], dropped[["item_id", "language"]]])
        assert not both.duplicated().any() and set(both["language"]) == set(LANGUAGES)


def test_b_and_c_have_the_same_prompts_and_chosen_responses(miniature):
    b, c = (pd.read_parquet(miniature.results / f"datasets/{name}.parquet") for name in "BC")
    both = b.merge(c, on=["item_id", "language"])
    assert len(both) and (both["chosen_x"] == both["chosen_y"]).all() and (both["prompt_x"] == both["prompt_y"]).all()


def test_the_data_set_loads_from_its_card(miniature, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(miniature.results / "datasets/B"), split="train", cache_dir=str(tmp_path))
    assert loaded.num_rows == len(pd.read_parquet(miniature.results / "datasets/B.parquet"))


def test_trained_policies_have_different_weights(miniature):
    policies = [json.loads((miniature.results / f"policies/{n}/policy.json").read_text()) for n in "ABC"]
    assert len({policy["revision"] for policy in policies}) == 3
    for policy in policies:
        assert (miniature.folder / policy["path"] / "config.json").exists()
        assert list((miniature.folder / policy["path"]).glob("*.safetensors"))


def test_the_report_has_all_pages_and_no_external_addresses(miniature):
    report = miniature.results / "report"
    for page, words in {"index": "Win", "translation": "BLEU chrF", "cost": "engine", "method": "snakemake"}.items():
        html = (report / f"{page}.html").read_text(encoding="utf-8")
        assert not re.search(r"""(?:src|href)=["']https?:""", html)
        assert all(word in html for word in words.split())
    assert {"items.js", "reader-is-000.js", "verdicts-is.js"} <= {path.name for path in (report / "data").iterdir()}


# -- jobs of a second run -------------------------------------------------------------------------------------------


def test_without_a_change_no_job_runs(miniature):
    assert miniature.planned() == {}


def test_the_order_of_languages_changes_nothing(miniature):
    assert miniature.planned(config={**miniature.config, "languages": LANGUAGES[::-1]}) == {}


def test_an_edit_of_one_language_reruns_that_language(miniature):
    path = miniature.folder / "data/wmt24pp/en-de_DE.jsonl"
    backup = path.read_bytes()
    stat = path.stat()
    try:
        path.write_text(path.read_text(encoding="utf-8").replace("Der", "Die", 1) + "\n", encoding="utf-8")
        plan = miniature.snakemake("-n")
    finally:
        path.write_bytes(backup)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    jobs = re.findall(r"^Job \d+: (.*)$", plan, re.MULTILINE)
    requests = [job for job in jobs if job.startswith("Writing requests ")]
    assert requests and all(job.endswith(" in de") and "wmt source" in job for job in requests), requests
    collected = [job for job in jobs if job.startswith("Collecting ")]
    assert collected and all("wmt source in de" in job for job in collected), collected
    batches = {job for job in jobs if job.startswith("Completing ")}
    assert batches == {f"Completing the batch translate/{name}" for name in ("nllb", "strong", "weak")}
    assert not [job for job in jobs if "rain" in job and "policy" in job]


def test_a_deleted_artifact_is_rebuilt_without_an_engine(miniature):
    path = miniature.results / "translations/wmt/source/weak/de.parquet"
    before, stat = path.read_bytes(), path.stat()
    path.unlink()
    output = miniature.snakemake("--", str(path.relative_to(miniature.folder)))
    assert path.read_bytes() == before and "Engine starts: 0" in output
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # restore the state for the following tests
    assert miniature.planned() == {}


def test_rebuilt_files_have_the_same_bytes_and_reuse_the_finished_training(miniature, tmp_path):
    copy = tmp_path / "again"
    shutil.copytree(miniature.folder, copy, symlinks=True)
    again = type(miniature)(copy, miniature.config)
    rebuilt = [
        *("requests/translate/pairs/prompt/strong-beam/de.parquet", "translations/pairs/prompt/strong-beam/de.parquet"),
        *("datasets/A.parquet", "datasets/A.dropped.parquet", "diagnostics/A.parquet", "policies/A/policy.json"),
    ]
    before = {name: (copy / "results" / name).read_bytes() for name in rebuilt}
    for name in rebuilt:
        (copy / "results" / name).unlink()
    output = again.snakemake("--", "results/policies/A/policy.json", "results/diagnostics/A.parquet")
    assert "engine started" not in output
    assert {name: (copy / "results" / name).read_bytes() for name in rebuilt} == before
    log = (copy / "results/logs/train_policy/A.log").read_text()
    assert "found trained:" in log, log


def test_an_edited_row_sends_only_its_own_requests(miniature, tmp_path):
    copy = tmp_path / "again"
    shutil.copytree(miniature.folder, copy, symlinks=True)
    folder = copy / "results/requests/translate/pairs/rejected/nllb"

    def requests() -> pd.DataFrame:
        return pd.concat([pd.read_parquet(path) for path in folder.glob("*.parquet")])

    path = copy / "data/sources/gutenberg.jsonl"
    pairs, before = pd.read_parquet(copy / "results/pairs.parquet"), requests()
    row = pairs[pairs["source"] == "gutenberg"].iloc[0]
    lines = path.read_text(encoding="utf-8").splitlines()
    edited = json.loads(lines[row["row"] - 1])
    edited["rejected"] = "old " + edited["rejected"]  # changes one sentence of the response
    lines[row["row"] - 1] = json.dumps(edited, ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    again = type(miniature)(copy, miniature.config)
    again.snakemake("--", *(f"results/translations/pairs/rejected/nllb/{code}.parquet" for code in TARGETS))
    new, after = pd.read_parquet(copy / "results/pairs.parquet"), requests()
    changed = set(new["item_id"]) - set(pairs["item_id"])
    assert len(changed) == 1
    sent = after[~after["request_id"].isin(before["request_id"]) & after["request_id"].notna()]
    assert set(sent["item_id"]) == changed and set(sent["language"]) == set(TARGETS)
    cost = json.loads((copy / "results/completions/translate/nllb.cost.json").read_text())
    assert cost["runs"][-1]["answered"] == sent["request_id"].nunique() == len(TARGETS)


def test_a_changed_parser_sends_no_requests_to_the_judge(miniature, tmp_path):
    """Verdicts are parsed from stored replies, so a parser without ties changes them without the judge."""
    copy = tmp_path / "miniature"
    shutil.copytree(miniature.folder, copy, symlinks=True)
    for part in ("rules", "workflow"):
        shutil.copytree(ROOT / part, tmp_path / "code" / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path / "code")
    for part in ("config", "resources", "environment.yml"):
        (tmp_path / "code" / part).symlink_to(ROOT / part)
    parser = tmp_path / "code/workflow/scripts/polypref/requests/verdict_parsers.py"
    changed = parser.read_text(encoding="utf-8").replace('found in ("A", "B", "TIE")', 'found in ("A", "B")')
    assert changed != parser.read_text(encoding="utf-8")
    parser.write_text(changed, encoding="utf-8")
    run = type(miniature)(copy, miniature.config, code=tmp_path / "code")

    def modification_times(part: str) -> dict[str, int]:
        return {
            str(path): path.stat().st_mtime_ns for path in sorted((run.results / part).rglob("*")) if path.is_file()
        }

    unchanged = ("requests", "completions", "store", "answers")
    before = {part: modification_times(part) for part in unchanged}
    assert all(before.values())
    command = ["--rerun-triggers", "mtime", "--forcerun", "collect_verdicts", "--", "tabulate_win_rates"]
    assert run.planned(*command) == {"collect_verdicts": 36, "tabulate_win_rates": 1}
    output = run.snakemake(*command)
    assert {part: modification_times(part) for part in unchanged} == before
    assert "Engine starts: 0" in output and "engine started" not in output
    verdicts = {path.relative_to(copy): path for path in (run.results / "verdicts").glob("*/*.parquet")}
    assert len(verdicts) == 36
    ties = 0
    for name, path in verdicts.items():
        new, old = pd.read_parquet(path), pd.read_parquet(miniature.folder / name)
        tied = old["verdict"].eq("tie")
        ties += tied.sum()
        derived = ["verdict", "status"]
        pd.testing.assert_frame_equal(new.drop(columns=derived), old.drop(columns=derived))
        assert new.loc[tied, "status"].eq("unparsed").all()
        assert new.loc[~tied, "verdict"].equals(old.loc[~tied, "verdict"])
    rates = pd.read_csv(run.results / "tables/win_rates.csv")
    assert ties and rates["tie_percent"].eq(0).all() and rates["unparsed_percent"].gt(0).any()


def test_snakemakes_report_needs_no_network(miniature):
    miniature.snakemake("--report", "snakemake-report.zip")
    with zipfile.ZipFile(miniature.folder / "snakemake-report.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
    assert "report.html" in names and {"win_rates.svg", "bleu.svg"} <= set(names)
