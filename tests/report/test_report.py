"""The report on the results of a whole run: its content, no requests to the network, and escaped texts."""

import base64
import hashlib
import html.parser
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import hostile
import pandas as pd
import pytest
from reporting import ROOT, make_report, write_report

from polypref.datasets.diagnostics import FLAGS
from polypref.files.result_tables import read_csv
from polypref.report import text
from polypref.report.layout import full_scale, funnel_rows
from polypref.report.method import without_secrets
from polypref.report.pages import PAGES
from polypref.report.pieces import PIECE_BYTES, snippet, to_json, write_rows
from polypref.report.verdict_pieces import VERDICTS


class Page(html.parser.HTMLParser):
    """Tags, attributes, and the content of style and script elements."""

    def __init__(self, source: str):
        super().__init__()
        self.tags, self.code, self.words, self._open = [], {}, [], None
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data):
        if self._open in ("style", "script"):
            self.code.setdefault(self._open, []).append(data)
        self.words.append(data)

    def handle_endtag(self, tag):
        self._open = None


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The folder of a report on hostile texts."""
    folder = tmp_path_factory.mktemp("results")
    hostile.write_hostile(folder)
    return make_report(folder).parent


@pytest.fixture(scope="module")
def pages(report) -> dict[str, Page]:
    return {page.stem: Page((report / f"{page.stem}.html").read_text(encoding="utf-8")) for page in PAGES}


def read_piece(report: Path, name: str):
    """Return the data of a piece."""
    text = (report / f"data/{name}.js").read_text(encoding="utf-8")
    start, end = f'polypref.piece("{name}",', ");\n"
    assert text.startswith(start) and text.endswith(end)
    return json.loads(text[len(start) : -len(end)])


def read_rows(report: Path, stem: str, starts: list[int]) -> list:
    return [row for number, _ in enumerate(starts) for row in read_piece(report, f"{stem}-{number:03d}")]


# -- the pages ------------------------------------------------------------------------------------------------------


def test_the_content_policy_names_code_by_digest(pages):
    for name, page in pages.items():
        (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "'self'" not in policy
        assert set(page.code) == ({"style", "script"} if name in ("reader", "verdicts") else {"style"})
        for (code,) in page.code.values():
            digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert "script" in page.code or "script-src 'none'" in policy


def test_pages_load_nothing_from_the_network(pages, report):
    files = {path.relative_to(report).as_posix() for path in report.rglob("*")}
    for page in pages.values():
        for tag, attributes in page.tags:
            assert tag not in ("iframe", "img", "object", "embed", "base", "foreignobject")
            assert tag != "link" or attributes == {"rel": "icon", "href": "data:,"}
            assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")]
            address = attributes.get("href") or attributes.get("xlink:href") or "#"
            assert address.startswith(("#", "data:,")) or address.partition("#")[0] in files
        assert not re.search(r"url\(|@import|https?://", page.code["style"][0])


def test_ids_are_unique_and_links_have_targets(pages):
    ids = {}
    for name, page in pages.items():
        ids[name] = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids[name]) == len(set(ids[name]))
    for name, page in pages.items():
        for _, attributes in page.tags:
            file, _, target = (attributes.get("href") or attributes.get("xlink:href") or "").partition("#")
            if target and "=" not in target:
                assert target in ids[file.removesuffix(".html") or name]


def test_checks_lead_to_their_rows(pages, report):
    """The links of the health checks set filters that exist on the page."""
    links = pd.read_csv(report.parent / "tables/health.csv").set_index("check")["link"]
    for page, _, target in (link.partition("#") for link in links):
        options = {a["value"] for tag, a in pages[page.removesuffix(".html")].tags if tag == "option"}
        assert "=" not in target or {value for _, value in parse_qsl(target)} <= options, target
    whole = {link for link in links if "#" not in link}
    assert all(link.startswith(("data.html", "training.html")) for link in whole)


def test_untrusted_text_is_escaped(pages):
    words = "".join(pages["index"].words)
    assert "Tea & <b>biscuits</b>" in words
    assert "</pre><script>alert(4)</script>" in "".join(pages["method"].words)
    assert "[U+202E]gnp.exe" in "".join(pages["data"].words)  # the reason for dropping a pair


def test_no_script_writes_html():
    for path in (Path(text.__file__).parent / "static").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(", path.read_text()
        )


def test_secrets_are_left_out(report):
    for path in report.glob("*.html"):
        assert "sk-very-secret" not in path.read_text(encoding="utf-8")
    config = {"max_tokens": 5, "tokenizer": "x", "api_key_env": "OPENAI_API_KEY", "sources": [{"token": "hf_abc"}],
              "base_url": "https://me:pass@host/v1", "note": "hf_abcdefghijkl"}  # fmt: skip
    assert without_secrets(config) == config | {
        "sources": [{"token": "(left out)"}], "base_url": "(left out)", "note": "(left out)",
    }  # fmt: skip


def test_the_method_names_the_attention_of_each_training(pages):
    written = " ".join("".join(pages["method"].words).split())
    assert "Attention kernels in training: sdpa (A, B); flash_attention_2 (C)." in written


def test_numbers(pages, report):
    rates = pd.read_csv(report.parent / "tables/win_rates.csv")
    words = "".join(pages["index"].words)
    for value in rates["win_percent"]:
        assert f"{value:.2f}" in words
    assert "71.84" in words  # the published result of C against Gemma
    improvement = pd.read_csv(report.parent / "tables/improvement_by_language.csv")
    overall = improvement[improvement["language"].eq("all")]
    for row in overall.itertuples():
        assert f"{text.signed(row.low)} to {text.signed(row.high)}" in words
    cost = " ".join(pages["cost"].words)
    assert re.search(r"Training\s.*A\s+416\s+1\.5 h\s+12\.0 h", cost, re.DOTALL), "engine time, and GPU time"


def test_native_prompts_are_in_the_tables_of_kept_and_dropped_rows(pages, report):
    funnel = read_csv(report.parent / "tables/funnel.csv")
    (row,) = funnel_rows(funnel, "native prompts")
    assert (row["name"], row["read"], row["dropped"], row["kept"]) == ("own", 8, 4, 4)
    words = [word.strip() for word in pages["data"].words]
    place = words.index("own")
    assert [word for word in words[place:] if word][:4] == ["own", "8", "4", "4"]


def test_captions_are_those_of_the_figures(pages):
    words = {name: " ".join(" ".join(page.words).split()) for name, page in pages.items()}
    for path in (ROOT / "docs/captions").glob("*.rst"):
        if path.stem != "win_rates_by_language":  # a table on the page, and a link to the figure
            assert any(path.read_text().strip() in page for page in words.values()), path.stem


def test_no_p_value_is_nothing(pages):
    found = " ".join(" ".join(pages["win_rates"].words).split())
    assert "<0.001" in found and not re.search(r"[^.\d]0\.000\b", found)


def test_colour_scales_hold_the_largest_difference():
    assert [full_scale(pd.Series(values)) for values in ([3.0, -31.2], [0.5], [float("nan")], [])] == [40, 10, 10, 10]


def test_counts_of_flags_lead_to_the_reader(pages, report):
    table = pd.read_csv(report.parent / "tables/diagnostics.csv")
    wrong = table[table["language"].eq("is") & table["architecture"].eq("B")]["chosen_wrong_language"].sum()
    links = {a["href"] for tag, a in pages["data"].tags if tag == "a"}
    assert wrong and "reader.html#language=is&architecture=B&flag=chosen_wrong_language" in links


def test_without_a_rater_nothing_is_said_of_ratings(report):
    for name in ("data", "reader"):
        text = (report / f"{name}.html").read_text(encoding="utf-8")
        assert "low rating" not in text and "Ratings of the translations" not in text
    assert "data_unrated" not in (report.parent / "tables/health.csv").read_text(encoding="utf-8")


def test_the_same_inputs_give_the_same_report(report):
    before = {path.relative_to(report): path.read_bytes() for path in report.rglob("*") if path.is_file()}
    write_report(report.parent)
    after = {path.relative_to(report): path.read_bytes() for path in report.rglob("*") if path.is_file()}
    assert after == before


def test_a_large_run_is_shown_as_a_sample(report):
    """Both pages say so; the other pages are those of the whole run, except for the configuration."""
    sampled = write_report(report.parent, name="sampled", shown_pairs=300, shown_verdicts=1000).parent
    for name, statement in {
        "reader": "A random sample of 10 of 45 pairs; the tables count all.",
        "verdicts": "A random sample of 36 of 180 prompts; the tables count all.",
    }.items():
        before, after = ((folder / f"{name}.html").read_text(encoding="utf-8") for folder in (report, sampled))
        assert statement in after and "A random sample" not in before
        assert after.replace(f'  <p class="sample">{statement}</p>\n', "") == before
    for page in PAGES:
        if not page.scripts:
            assert (sampled / f"{page.stem}.html").read_bytes() == (report / f"{page.stem}.html").read_bytes()
    assert len(read_piece(sampled, "items")["items"]) == 10


# -- the pieces -----------------------------------------------------------------------------------------------------


def test_json_cannot_end_the_script_that_contains_it():
    value = ["</script><!--", "\u2028\u2029", "&amp;", 'a"\\', "íslenska"]
    assert not re.search("[<>&\u2028\u2029]", to_json(value)) and json.loads(to_json(value)) == value


def test_rows_are_split_by_bytes(tmp_path):
    rows = ["x" * (PIECE_BYTES // 3)] * 7 + ["y" * 3 * PIECE_BYTES, "z"]
    starts = write_rows(tmp_path, "rows", rows)
    assert starts == [0, 2, 4, 6, 7, 8]
    assert write_rows(tmp_path, "none", []) == []
    assert snippet("a  b\n" + "c" * 200) == "a b " + "c" * 136 + "…" and snippet("short") == "short"


def test_the_reader_has_every_text(report):
    results, items = report.parent, read_piece(report, "items")
    ids = [item[0] for item in items["items"]]
    pairs = pd.read_parquet(results / "pairs.parquet")
    assert ids == list(pairs["item_id"])
    originals = read_rows(report, "original", items["original"])
    assert originals == [list(row) for row in pairs[["prompt", "chosen", "rejected"]].itertuples(index=False)]
    for number, name in enumerate(items["architectures"]):
        kept = pd.read_parquet(results / f"datasets/{name}.parquet")
        signs = pd.read_parquet(results / f"diagnostics/{name}.parquet").set_index(["language", "item_id"])
        for language, frame in kept.groupby("language"):
            index = read_piece(report, f"reader-{language}")
            rows = read_rows(report, f"reader-{language}", index["starts"])
            by_item = frame.set_index("item_id")
            for item, (texts, cells, _), bits in zip(ids, rows, index["flags"][number], strict=True):
                found = [flag for place, flag in enumerate(FLAGS) if bits & 1 << place]
                assert sorted(found) == sorted(signs["flags"].get((language, item), []))
                left = index["reasons"][index["left"][number][ids.index(item)]]
                if item in by_item.index:
                    row = by_item.loc[item]
                    assert [texts[place] for place in cells[number][:3]] == [row.prompt, row.chosen, row.rejected]
                    assert not left
                else:
                    assert cells[number] is None and left.startswith("answer: ")


def test_the_verdict_browser_has_every_verdict(report):
    results, flipped = report.parent, 0
    for language in ("is", "ar"):
        index = read_piece(report, f"verdicts-{language}")
        rows = read_rows(report, f"answers-{language}", index["starts"])
        shown = set()
        for prompt, policy, opponent, judge, *orders in index["rows"]:
            names = index["prompts"][prompt][0], index["policies"][policy], index["opponents"][opponent]
            assert index["judges"][judge] == "tiny"
            for order, verdict, reply in zip(
                ("policy_first", "opponent_first"), orders[::2], orders[1::2], strict=True
            ):
                shown.add((*names, order, VERDICTS[verdict], index["replies"][reply]))
            flipped += orders[0] != orders[2]
        verdicts = pd.concat(pd.read_parquet(path) for path in results.glob(f"verdicts/*/{language}.parquet"))
        known = verdicts["verdict"].where(verdicts["status"].eq("parsed"), verdicts["status"])
        columns = [verdicts[name] for name in ("item_id", "policy", "opponent", "order")]
        assert shown == set(zip(*columns, known, verdicts["reply"], strict=True))
        answers = pd.read_parquet(results / f"answers/B/{language}.parquet")
        assert [row[2][index["names"].index("B")][0] for row in rows] == list(answers["text"])
    assert flipped
