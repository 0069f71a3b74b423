"""Make ``prompts/{language}.parquet``: the evaluation prompts of one language from the Aya suite."""

from pathlib import Path

from polypref.config.data import is_local_data
from polypref.config.sections import Language
from polypref.files.schemas import PROMPTS
from polypref.files.tables import write_table
from polypref.running.logs import job
from polypref.sources.benchmarks import AYA_COLUMNS, aya_configs, normalise_prompts
from polypref.sources.reading import read_data

if __name__ == "__main__":
    code, params = snakemake.wildcards.language, snakemake.params
    with job(f"evaluation prompts {code}", snakemake.log[0]) as terminal:
        language = Language.model_validate(params.language)
        if is_local_data(params.path):
            paths = {name: path for name in aya_configs(code) for path in snakemake.input if name in Path(path).parts}
        else:
            paths = dict.fromkeys(aya_configs(code), params.path)
        configs = {n: (p, read_data(p, AYA_COLUMNS, n, "test", params.revision)) for n, p in paths.items()}
        prompts = normalise_prompts(configs, code, language, params.wanted, params.seed)
        write_table(snakemake.output[0], prompts, PROMPTS)
        edited = sum(row["config"] == "dolly_human_edited" for row in prompts)
        terminal.report(f"{len(prompts):,} prompts, {edited:,} of them edited by people")
