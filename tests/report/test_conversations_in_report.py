"""Prompts that are conversations, in the verdict browser and in the list of the sanity set's wrong verdicts."""

import json
from pathlib import Path

import pandas as pd
import synthetic

from polypref.evaluation.trained import Trained
from polypref.files import schemas
from polypref.files.conversations import to_text
from polypref.report.layout import sanity_rows
from polypref.report.verdict_files import Judgements
from polypref.report.verdict_pieces import write_verdicts
from polypref.requests.sanity import ITSELF


def read_piece(path: Path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text[text.index(",") + 1 : text.rindex(")")])


def test_conversations_are_shown_with_their_roles(tmp_path):
    asked = synthetic.prompts_of("de", 2)
    asked.loc[0, "prompt"] = to_text([("system", "Sei knapp."), ("user", "Warum <b>so</b>?")])
    given = {
        "prompts/de": (asked, schemas.PROMPTS),
        "verdicts/de": (synthetic.verdicts("A", "de", 2), schemas.VERDICTS),
    }
    names = ["A", *synthetic.OPPONENTS]
    given |= {f"answers/{name}/de": (synthetic.answers(name, "de", 2), schemas.TEXTS) for name in names}
    for name, (frame, schema) in given.items():
        synthetic.write(frame, tmp_path / f"{name}.parquet", schema)
    judgements = Judgements(
        prompts={"de": tmp_path / "prompts/de.parquet"},
        answers={name: {"de": tmp_path / f"answers/{name}/de.parquet"} for name in names},
        verdicts={"de": [tmp_path / "verdicts/de.parquet"]}, most=1000, trained=Trained({}),
    )  # fmt: skip
    write_verdicts(tmp_path / "data", judgements, pd.DataFrame(columns=["name", "item_id", "flag"]), ["de"])
    index, shown = (read_piece(tmp_path / f"data/{name}.js") for name in ("verdicts-de", "answers-de-000"))
    assert [row[0] for row in shown] == ["System: Sei knapp.\n\nUser: Warum <b>so</b>?", asked.loc[1, "prompt"]]
    assert index["prompts"][0][3] == "System: Sei knapp. User: Warum <b>so</b>?"
    item = asked.loc[0, "item_id"]
    wrong = synthetic.verdicts("A", "de", 2).head(1).assign(item_id=item, policy=ITSELF, verdict="policy")
    shown = sanity_rows(wrong, judgements.texts_of([item]))["wrong"]
    assert shown[0]["prompt"] == "System: Sei knapp. User: Warum <b>so</b>?"
