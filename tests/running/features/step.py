"""The script of the rules `step` and `special`."""

from pathlib import Path

text = Path(snakemake.input.source).read_text() + f"{snakemake.params.setting} {snakemake.resources.mem_mb}"
Path(snakemake.output[0]).write_text(f"{text} {snakemake.rule} {snakemake.input.others}\n")
