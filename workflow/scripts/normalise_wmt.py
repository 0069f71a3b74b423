"""Make ``wmt/{language}.parquet``: the WMT24++ segments of one target language."""

from polypref.config.sections import Language
from polypref.files.schemas import SEGMENTS
from polypref.files.tables import write_table
from polypref.running.logs import job
from polypref.sources.benchmarks import WMT_COLUMNS, normalise_wmt, wmt_config
from polypref.sources.reading import read_data

if __name__ == "__main__":
    code, params = snakemake.wildcards.language, snakemake.params
    with job(f"WMT24++ {code}", snakemake.log[0]) as terminal:
        language = Language.model_validate(params.language)
        path = snakemake.input[0] if len(snakemake.input) else params.path
        rows = read_data(path, WMT_COLUMNS, wmt_config(language), "train", params.revision)
        segments = normalise_wmt(rows, path, code, language, params.segments, params.seed)
        write_table(snakemake.output[0], segments, SEGMENTS)
        terminal.report(f"{len(segments):,} segments of {len(rows):,} rows")
