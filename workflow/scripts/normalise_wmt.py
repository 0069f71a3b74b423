"""Write ``wmt/{language}.parquet``: the segments of one target language, from WMT24++ or the user's own test set."""

from polypref.config.sections import Language
from polypref.files.schemas import OWN_SEGMENTS, SEGMENTS
from polypref.files.table_writer import write_table
from polypref.running.logs import job
from polypref.sources.benchmarks import WMT_COLUMNS, normalise_wmt, wmt_config
from polypref.sources.own_sets import SEGMENT_COLUMNS, own_segments
from polypref.sources.reading import Data, read_data

if __name__ == "__main__":
    code, params, own = snakemake.wildcards.language, snakemake.params, snakemake.params.path
    with job(f"segments {code}", snakemake.log[0]) as terminal:
        language = Language.model_validate(params.language)
        if isinstance(own, str):
            path = snakemake.input[0] if len(snakemake.input) else own
            rows = read_data(path, WMT_COLUMNS, wmt_config(language), "train", params.revision)
            segments = normalise_wmt(rows, path, code, language, params.segments, params.seed)
            write_table(snakemake.output[0], segments, SEGMENTS)
            terminal.report(f"{len(segments):,} segments from {len(rows):,} rows")
        else:
            where = list(snakemake.input) or own["path"], SEGMENT_COLUMNS, own["subset"], own["split"], params.revision
            rows = Data(*where, own["columns"])
            segments = own_segments(rows, code, language, params.segments, params.seed, own["one_language"])
            write_table(snakemake.output[0], segments, OWN_SEGMENTS)
            most = max(len(row["references"]) for row in segments)
            terminal.report(f"{len(segments):,} segments, up to {most} references")
