"""A source may have several files, and columns with other names."""

import pytest
from preference_files import FORMATS, ROW, pairs_of, write

from polypref.config.data import data_files, is_local_data
from polypref.files.tables import TableError
from polypref.sources.formats import check_columns
from polypref.sources.reading import read_data


def test_a_folder_a_pattern_and_a_list_name_the_same_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/more").mkdir(parents=True)
    for name in ("data/b", "data/a", "data/more/c"):
        write(tmp_path, ".jsonl", [{**ROW, "prompt": name}], name)
    write(tmp_path, ".jsonl", [{**ROW, "prompt": "hidden"}], "data/.hidden")
    (tmp_path / "data/README.md").write_text("about")
    names = ["data/a.jsonl", "data/b.jsonl", "data/more/c.jsonl"]
    for path in ("data", "data/", "data/**/*.jsonl", names, ["data/[ab].jsonl", "data/more"]):
        assert is_local_data(path)
        assert sorted(data_files(path)) == names
        assert sorted(row["prompt"] for row in read_data(data_files(path), ("prompt",))) == [n[:-6] for n in names]
    assert not is_local_data("owner/name")
    assert data_files("data/*.csv") == [] and data_files("none.csv") == ["none.csv"]


def test_an_empty_file_among_several_is_an_error(tmp_path):
    write(tmp_path, ".jsonl", [ROW], "a")
    (tmp_path / "b.jsonl").write_text("")
    with pytest.raises(TableError, match=r"b\.jsonl: has no rows"):
        read_data(data_files(str(tmp_path)), ("prompt",))


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_may_have_other_names(tmp_path, suffix):
    path = write(tmp_path, suffix, [{"question": "q", "good": "g", "bad": "b", "prompt": "template"}])
    pairs, _ = pairs_of(str(path), columns={"prompt": "question", "chosen": "good", "rejected": "bad"})
    assert {name: pairs[0][name] for name in ROW} == {"prompt": "q", "chosen": "g", "rejected": "b"}
    with pytest.raises(
        TableError, match=r"column gut \(configured in `columns` for chosen\) is missing; found question, good"
    ):
        pairs_of(str(path), columns={"chosen": "gut"})
    with pytest.raises(TableError, match=r"column chosen, rejected is missing; found .* set columns: \{chosen: NAME\}"):
        pairs_of(str(path))


def test_renamed_columns_must_be_some_that_the_format_reads():
    with pytest.raises(
        TableError, match=r"sources\.mine\.columns: promt is not a column of preference; allowed: chosen, "
    ):
        check_columns("mine", "preference", {"promt": "question"})
    check_columns("mine", "preference", {"prompt": "question", "task": "kind"})
