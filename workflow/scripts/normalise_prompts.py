"""Write ``prompts/{language}.parquet``: evaluation prompts of a language, from the Aya suite or the user's own set."""

from pathlib import Path

from polypref.config.data import is_local_data
from polypref.config.sections import Language
from polypref.files.schemas import PROMPTS
from polypref.files.table_writer import write_table
from polypref.running.logs import job
from polypref.sources.benchmarks import AYA_COLUMNS, aya_configs, normalise_prompts
from polypref.sources.own_sets import PROMPT_COLUMNS, own_prompts
from polypref.sources.reading import Data, read_data

if __name__ == "__main__":
    code, params, own = snakemake.wildcards.language, snakemake.params, snakemake.params.path
    with job(f"evaluation prompts {code}", snakemake.log[0]) as terminal:
        language = Language.model_validate(params.language)
        if isinstance(own, str):
            if is_local_data(own):
                paths = {n: path for n in aya_configs(code) for path in snakemake.input if n in Path(path).parts}
            else:
                paths = dict.fromkeys(aya_configs(code), own)
            configs = {n: (p, read_data(p, AYA_COLUMNS, n, "test", params.revision)) for n, p in paths.items()}
            prompts = normalise_prompts(configs, code, language, params.wanted, params.seed)
            edited = sum(row["config"] == "dolly_human_edited" for row in prompts)
            note = f", {edited:,} of them edited by people"
        else:
            where = list(snakemake.input) or own["path"], PROMPT_COLUMNS, own["subset"], own["split"], params.revision
            kind = own["format"], own["one_language"]
            prompts = own_prompts(Data(*where, own["columns"]), code, language, params.wanted, params.seed, *kind)
            note = ""
        write_table(snakemake.output[0], prompts, PROMPTS)
        terminal.report(f"{len(prompts):,} prompts{note}")
