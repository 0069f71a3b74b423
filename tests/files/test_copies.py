"""Paths of a job's parameters are those of the local copies of its inputs."""

import pytest

from polypref.files.copies import local_copies

FIELDS = {"de": {"prompt": "results/translations/pairs/prompt/m/de.parquet", "chosen": None}}
COPY = ".snakemake/storage/s3/bucket/results/translations/pairs/prompt/m/de.parquet"


def test_without_a_storage_paths_are_unchanged():
    assert local_copies(FIELDS, ["results/pairs.parquet", FIELDS["de"]["prompt"]]) == FIELDS
    assert local_copies({}, []) == {}


@pytest.mark.parametrize("root", ["", "/", "./"])
def test_with_a_storage_they_are_those_of_the_copies(root):
    fields = {"de": {"prompt": root + FIELDS["de"]["prompt"], "chosen": None}}
    other = COPY.replace("results/", "results/translations/pairs/old-results/")
    assert local_copies(fields, [other, COPY]) == {"de": {"prompt": COPY, "chosen": None}}


def test_a_path_that_is_no_input_is_an_error():
    with pytest.raises(ValueError, match=r"fr\.parquet: no input"):
        local_copies({"fr": "results/fr.parquet"}, [COPY])
