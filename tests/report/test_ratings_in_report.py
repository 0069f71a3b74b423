"""The report of a run with a rater: the table of ratings, the ratings in the reader, and the health check."""

import json
import re

import numpy as np
import pandas as pd
import synthetic
from reporting import make_report

from polypref.files import schemas
from polypref.files.result_tables import read_csv

RATED = {"A": ["prompt", "chosen"], "B": ["prompt"], "C": []}


def pieces(folder, stem: str) -> list:
    """Return the rows of all pieces of a name."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"{stem}-*.js"))]
    return [row for text in texts for row in json.loads(text[text.index(",") + 1 : text.rindex(")")])]


def test_a_report_with_ratings(tmp_path):
    synthetic.write_results(tmp_path, prompts=6, per_source=8, n_segments=6)
    rng = np.random.default_rng(1)
    for name, fields in RATED.items():
        path = tmp_path / f"diagnostics/{name}.parquet"
        frame = pd.read_parquet(path)
        foreign = frame["language"].ne("en")
        for field in schemas.FIELDS:
            ratings = pd.Series(rng.integers(40, 101, len(frame)).astype(float))
            frame[f"{field}_rating"] = ratings.where(foreign & (field in fields) & (rng.random(len(frame)) > 0.1))
        frame["flags"] = [
            [*flags, "chosen_low_rating"] if rating < 50 else list(flags)
            for flags, rating in zip(frame["flags"], frame["chosen_rating"], strict=True)
        ]
        synthetic.write(frame, path, schemas.RATED_DIAGNOSTICS)
    report = make_report(tmp_path, rated=RATED, drawn=False).parent

    table = read_csv(tmp_path / "tables/ratings.csv")
    page = (report / "data.html").read_text(encoding="utf-8")
    section = page[page.index('id="ratings"') : page.index('id="lengths"')]
    first = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", section[: section.index("<details>")])[6:]
    rows = [first[start : start + 6] for start in range(0, len(first), 6)]
    assert [row[:2] for row in rows] == [["A", "prompt"], ["", "chosen"], ["B", "prompt"]]
    for shown, row in zip(rows, table[table["language"].eq("all")].itertuples(), strict=True):
        assert shown[2:] == [f"{row.translations:,}", f"{row.mean:.1f}", f"{row.below_percent:.1f}",
                             f"{row.unrated_percent:.1f}"]  # fmt: skip
    assert section.count("Ratings by language in") == 2, "C has no ratings"
    assert "chosen low rating" in page and "chosen low rating" in (report / "reader.html").read_text(encoding="utf-8")

    signs = pd.read_parquet(tmp_path / "diagnostics/A.parquet").set_index(["language", "item_id"])
    items = json.loads((report / "data/items.js").read_text(encoding="utf-8").split(",", 1)[1].rpartition(")")[0])
    for (item, *_), (_, _, signals) in zip(items["items"], pieces(report / "data", "reader-de"), strict=True):
        if ("de", item) in signs.index:
            expected = signs.loc[("de", item), [f"{field}_rating" for field in schemas.FIELDS]]
            assert signals[0][2::3] == [None if np.isnan(rating) else rating for rating in expected]
    health = read_csv(tmp_path / "tables/health.csv")
    assert health[health["check"].eq("data_unrated")]["about"].tolist() == ["A prompt", "A chosen", "B prompt"]
