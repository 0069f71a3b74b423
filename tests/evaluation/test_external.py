"""Invalid files of verdicts and translations give one line with file, place and remedy, and never a traceback."""

import pandas as pd
import pytest

from polypref.cli import main, tokenizer_of
from polypref.evaluation.external_files import read_file

HEAD = "prompt_id,policy,opponent,verdict,language,order\n"
ROWS = "p1,A,x,policy,de,policy_first\np1,A,x,tie,de,opponent_first\np2,A,x,opponent,de,policy_first\n"
GOOD = HEAD + ROWS
POINTS = "policy,opponent,points\nA,x,0.5\n"
LINE = '{"policy":"A","opponent":"x","verdict":"tie"}\n'
LENGTHS = "policy,opponent,verdict,policy_length,opponent_length\n"
TRANSLATED = "item_id,translator,language,hypothesis,reference\n1,m,de,ein Hund,der Hund\n2,m,de,eine Katze,die Katze\n"

FILES = {
    "empty.csv": ("", "is empty"),
    "head.csv": (HEAD, "there are no rows"),
    "missing.csv": ("policy,verdict\nA,tie\n", "column opponent is missing; found policy, verdict. Give its name"),
    "semicolons.csv": (GOOD.replace(",", ";") + "a,b\n", "separated by semicolons, not commas; save it with commas"),
    "tabs.csv": (GOOD.replace(",", "\t"), "separated by tabs, not commas; name it .tsv"),
    "long.csv": (GOOD + "p3,A,x,tie,de,policy_first,more\n", "ends in line 5 has 7 fields, the first line 6; put"),
    "short.csv": (GOOD + '"p\n3",A,x,tie\n', "ends in line 6 has 4 fields, the first line 6"),
    "quote.csv": (GOOD + '"p3,A,x,tie,de,\n', 'begins in line 5 can\'t be read (unexpected end of data); close'),
    "twice.csv": ("policy,policy,verdict\nA,x,tie\n", "two columns are named 'policy'; rename one"),
    "latin.csv": (GOOD.replace("p2", "ü").encode("latin-1"), "line 4 is not UTF-8; convert the file, for example"),
    "wide.csv": (GOOD.encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
    "packed.csv.gz": (GOOD, "is not a gz file, or is truncated"),
    "sheet.xlsx": ("x", "expected a file name that ends in .csv"),
    "broken.jsonl": (LINE * 2 + '{"policy": "A\n' + LINE, "line 3 is not JSON (Invalid control character"),
    "scalar.jsonl": (LINE + "3\n", "line 2 is 3; expected an object with one key per column"),
    "object.json": ('{"a": 1}', "expected a list of objects"),
    "lines.json": (LINE * 2, "name a file with one object per line .jsonl"),
    "none.json": ("[]", "there are no rows"),
    "cut.json": ("[" + LINE[:20], "is the file truncated?"),
    "text.parquet": ("hello", "is not a parquet file, or is truncated"),
    "word.csv": (GOOD.replace("tie", "TIED"), "verdict is 'TIED' in row 2; expected policy, win, opponent, loss, tie"),
    "keys.csv": (GOOD + ROWS, "a pair occurs more than once in a run and order: p1, p2. Name the column"),
    "policy.csv": (GOOD + "p3,,x,tie,de,policy_first\n", "policy is empty in row 4; fill it in every row"),
    "prompt.csv": (GOOD + ",A,x,tie,de,policy_first\n", "prompt_id is empty in row 4"),
    "total.csv": (GOOD + "p3,all,x,tie,de,policy_first\n", "policy is 'all' in row 4, the name of the totals"),
    "nested.jsonl": ('{"policy":["A"],"opponent":"x","verdict":"tie"}\n', "policy in row 1 is a list or an object"),
    "order.csv": (GOOD + "p3,A,x,tie,de,left\n", "order is not policy_first or opponent_first in row 4"),
    "status.csv": ("policy,opponent,verdict,status\nA,x,tie,ok\n", "status in row 1 is none of parsed, unparsed"),
    "points.csv": (POINTS + "A,x,good\n", "points is 'good' in row 2; expected a number"),
    "high.csv": (POINTS + "A,x,1.5\n", "points are outside 0 to 1 in row 2; set their range with --points-range"),
    "infinite.csv": (POINTS + "A,x,inf\n", "points are outside 0 to 1 in row 2"),
    "length.csv": (LENGTHS + "A,x,tie,3,4\nA,x,tie,,4\n", "policy_length in row 2 is not a number of characters"),
    "letters.csv": (LENGTHS + "A,x,tie,three,4\n", "policy_length is 'three' in row 1; expected a number of"),
}  # fmt: skip
TRANSLATIONS = {
    "none.csv": ("translator,language\nm,de\n", "column hypothesis, reference is missing"),
    "same.csv": (TRANSLATED + "2,m,de,x,die Katze\n", "item_id occurs more than once in the translations: 2"),
    "unlike.csv": (TRANSLATED + "1,n,de,x,anders\n2,n,de,x,die Katze\n", "different references, sources or documents"),
    "less.csv": (TRANSLATED + "1,n,de,x,der Hund\n", "n, de: translations and segments differ; 1 missing: 2"),
    "reference.csv": (TRANSLATED + "3,m,de,ein Ball,\n", "reference is empty in row 3"),
    "language.csv": (TRANSLATED + "3,m,,ein Ball,der Ball\n", "language is empty in row 3"),
    "list.jsonl": ('{"translator":"m","language":"de","hypothesis":["a"],"reference":"a"}\n', "hypothesis in row 1"),
}  # fmt: skip
OPTIONS = {
    "--draws 0": "expected a whole number of at least 2, found '0'",
    "--seed -1": "expected a whole number of at least 0, found '-1'",
    "--base A": "there is no other policy to compare it with",
    "--base Z": "no rows of the base policy 'Z'; found A",
    "--column verdict=winner": "no column winner; found prompt_id",
    "--column verdict": "expected NAME=VALUE",
    "--column policy=policy --column policy=opponent": "each name may be given only once; found policy=policy",
    "--tie policy": "the verdict 'policy' has two meanings",
    "--out /dev/null/folder": "polypref: /dev/null",
}


def complain(arguments: list[str], capsys) -> str:
    """Return the last line on stderr of a command that must fail; only the usage may precede it."""
    try:
        assert main(arguments) == 2
    except SystemExit as stopped:
        assert stopped.code == 2
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert said.out == "" and "Traceback" not in said.err
    assert len(lines) == 1 or lines[0].startswith("usage:")
    return lines[-1]


@pytest.mark.parametrize("name", [*FILES, *TRANSLATIONS])
def test_invalid_files(name, tmp_path, capsys):
    content, complaint = FILES.get(name) or TRANSLATIONS[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    said = complain([f"score-{'verdicts' if name in FILES else 'translations'}", str(tmp_path / name)], capsys)
    assert complaint in said
    assert name in said or name in ("same.csv", "less.csv")


@pytest.mark.parametrize("option", OPTIONS)
def test_invalid_options(option, tmp_path, capsys):
    (tmp_path / "v.csv").write_text(GOOD)
    draws = [] if "draws" in option else ["--draws", "20"]
    assert OPTIONS[option] in complain(["score-verdicts", str(tmp_path / "v.csv"), *draws, *option.split()], capsys)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [("fr=13a", "has no language fr; it has de"), ("de=foo", "no tokeniser foo; sacreBLEU has")],
)
def test_invalid_tokenisers(option, complaint, tmp_path, capsys):
    (tmp_path / "t.csv").write_text(TRANSLATED)
    assert complaint in complain(["score-translations", str(tmp_path / "t.csv"), "--tokenizer", option], capsys)


def test_missing_files_folders_and_truncated_files(tmp_path, capsys):
    assert "the file does not exist" in complain(["score-verdicts", str(tmp_path / "absent.csv")], capsys)
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder; expected a file" in complain(["score-verdicts", str(tmp_path / "folder.csv")], capsys)
    path = tmp_path / "cut.parquet"
    pd.DataFrame({"policy": ["A"] * 999}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-50])
    assert "is truncated; copy or save it again" in complain(["score-verdicts", str(path)], capsys)


def test_labels_that_are_numbers_or_categories(tmp_path):
    """A 1 in a JSON column with a null stays 1, and categories of a Parquet file are read as text."""
    frame = pd.DataFrame({"policy": "A", "opponent": "x", "verdict": ["1", "0", None]})
    (tmp_path / "v.jsonl").write_text(
        "".join(f'{{"policy":"A","opponent":"x","verdict":{word}}}\n' for word in ("1", "0", "null"))
    )
    frame.astype("category").to_parquet(tmp_path / "v.parquet")
    options = ["--policy-wins", "1", "--opponent-wins", "0", "--draws", "20", "--out", str(tmp_path)]
    for name in ("v.jsonl", "v.parquet"):
        assert main(["score-verdicts", str(tmp_path / name), *options]) == 0
        row = pd.read_csv(tmp_path / "estimates.csv").iloc[0]
        assert row[["win_percent", "loss_percent", "unparsed_percent"]].tolist() == pytest.approx([100 / 3] * 3)


def test_categories_of_translations(tmp_path):
    (tmp_path / "t.csv").write_text(TRANSLATED)
    read_file(tmp_path / "t.csv").astype("category").to_parquet(tmp_path / "t.parquet")
    for name in ("csv", "parquet"):
        options = ["--draws", "20", "--out", str(tmp_path / name)]
        assert main(["score-translations", str(tmp_path / f"t.{name}"), *options]) == 0
    tables = [(tmp_path / name / "scores.csv").read_text() for name in ("csv", "parquet")]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [("zh", "zh"), ("zh_CN", "zh"), ("zh-Hans", "zh"), ("en-zh", "zh"), ("en-zh_CN", "zh"), ("zho_Hans", "zh"),
     ("zh-en", "13a"), ("en-ja_JP", "ja-mecab"), ("jpn_Jpan", "ja-mecab"), ("ko-KR", "ko-mecab"), ("de", "13a"),
     ("German", "13a"), ("und", "13a")],
)  # fmt: skip
def test_the_tokeniser_does_not_depend_on_country_script_or_source_language(language, tokenizer):
    assert tokenizer_of(language) == tokenizer


def test_texts_are_not_changed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffitem_id,hypothesis\r\n01,1.50\r\nNA,"a\u2028b\nc"\r\n'.encode())
    assert read_file(path).to_numpy().tolist() == [["01", "1.50"], ["NA", "a\u2028b\nc"]]
    (tmp_path / "T.CSV").write_bytes(path.read_bytes())
    assert read_file(tmp_path / "T.CSV").equals(read_file(path))
    (tmp_path / "t.jsonl").write_text('{"hypothesis": "a\u2028b"}\n\n{"hypothesis": "c"}\n', encoding="utf-8")
    assert read_file(tmp_path / "t.jsonl")["hypothesis"].tolist() == ["a\u2028b", "c"]
