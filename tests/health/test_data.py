"""Checks of the data: prompts of the evaluation set in the data sets, and translations without a rating."""

import pandas as pd

from polypref.config.health import Health
from polypref.files.conversations import to_text, to_transcript
from polypref.files.schemas import DATASET
from polypref.files.table_writer import write_table
from polypref.health.data import contaminated, contamination_checks, rating_checks, read_prompts

TEXT = "Name the longest river of the country in which you were born, and say why people like it so much."
PROMPTS = pd.DataFrame(
    [("0", "en", TEXT), ("0", "de", "Nenne den längsten Fluss.")], columns=["prompt_id", "language", "prompt"]
)
FUNNEL = pd.DataFrame(
    [("base set", "s", "contamination", "evaluation prompt 0 in eng (exact)", 2),
     ("base set", "t", "contamination", "evaluation prompt 7 in eng (8-gram)", 1),
     ("architecture", "A", "answer", "chosen equals rejected", 5)],
    columns=["stage", "name", "step", "reason", "rows"],
)  # fmt: skip


def check(*texts: tuple[str, str], funnel: pd.DataFrame = FUNNEL) -> tuple[str, str]:
    rows = [(str(n), language, text) for n, (language, text) in enumerate(texts)]
    listed = contaminated({"A": rows}, PROMPTS, ["en", "de"])
    (row,) = contamination_checks(listed, {"A": len(rows)}, funnel, Health().model_dump())
    return row["status"], row["message"]


def test_nothing_is_left():
    left_out = "0 of 1 prompts of data set A match an evaluation prompt; 3 prompts of the sources were left out for it"
    assert check(("en", "Why is the sky blue?")) == ("pass", left_out)
    more = pd.concat([FUNNEL, FUNNEL.head(1).assign(stage="native prompts")])
    assert "; 3 prompts of the sources and 2 native prompts were left" in check(("en", "Why?"), funnel=more)[1]
    assert check(("en", "Why is the sky blue?"), funnel=FUNNEL[2:])[1].endswith("match an evaluation prompt")


def test_a_translation_that_matches_is_reported():
    status, message = check(("en", "Name a river!"), ("de", "nenne den längsten fluss"))
    assert status == "fail" and message.startswith(
        "1 of 2 prompts of data set A match an evaluation prompt (exact 1); 3"
    )


def test_translations_without_a_rating_are_counted():
    ratings = pd.DataFrame({
        "architecture": "A", "language": ["all", "de", "all"], "field": ["prompt", "prompt", "chosen"],
        "unrated_percent": [4.0, 50.0, 30.0],
    })  # fmt: skip
    rows = rating_checks(ratings, Health().model_dump())
    assert [(row["about"], row["status"]) for row in rows] == [("A prompt", "pass"), ("A chosen", "fail")]
    assert rows[1]["message"] == "30% of the chosen translations of data set A have no rating"
    assert not any(row["voids"] for row in rows)


def test_conversations_are_compared_without_roles_and_system_message(tmp_path):
    asked = [("system", "Be brief."), ("user", "Name a river."), ("assistant", "The Po."), ("user", "Another?")]
    other = [("system", "Be polite."), *asked[1:]]
    rows = [
        {"item_id": str(n), "language": "en", "prompt": to_transcript(to_text(turns)),
         "prompt_messages": [{"role": role, "content": content} for role, content in turns]}
        for n, turns in enumerate([other, asked[1:2], asked[3:]])
    ]  # fmt: skip
    write_table(tmp_path / "A.parquet", rows, DATASET)
    write_table(tmp_path / "B.parquet", rows[1:], DATASET)
    prompts = pd.DataFrame([("7", "en", to_text(asked)), ("8", "en", "Another?")], columns=PROMPTS.columns)
    listed = contaminated({name: read_prompts(tmp_path / f"{name}.parquet") for name in "AB"}, prompts, ["en"])
    assert listed.values.tolist() == [
        ["A", "en", "0", "7", "exact"], ["A", "en", "2", "8", "exact"], ["B", "en", "2", "8", "exact"]
    ]  # fmt: skip
