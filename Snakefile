# polypref: build multilingual preference data in competing ways, train a model on each, and compare the models.
#
# This file lists the targets. The rules are in rules/, one file per stage in the order of the experiment. The artifacts
# and batches of a configuration are computed in workflow/scripts/polypref/plan/ (artifacts.py, plan.py).

import os
import sys

from snakemake.utils import min_version

min_version("9.27")


include: "rules/internals.smk"


# Without --configfile, run the published experiment, with the working directory's config/config.yaml if it has one.
if "architectures" not in config:

    configfile: "config/config.yaml" if os.path.exists("config/config.yaml") else f"{ROOT}/config/config.yaml"


# The image of containers/polypref.def. It is declared only with `--sdm apptainer`, because Snakemake refuses an image whose
# path contains a blank, even if it does not use the image.
if uses_containers():

    container: image_path(f"{ROOT}/containers/polypref.sif")


include: f"{ROOT}/rules/common.smk"
include: f"{ROOT}/rules/preflight.smk"
include: f"{ROOT}/rules/settings.smk"
include: f"{ROOT}/rules/checkpoints.smk"
include: f"{ROOT}/rules/sources.smk"
include: f"{ROOT}/rules/translate.smk"
include: f"{ROOT}/rules/generate.smk"
include: f"{ROOT}/rules/complete.smk"
include: f"{ROOT}/rules/datasets.smk"
include: f"{ROOT}/rules/training.smk"
include: f"{ROOT}/rules/judge.smk"
include: f"{ROOT}/rules/evaluation.smk"
include: f"{ROOT}/rules/health.smk"
include: f"{ROOT}/rules/translation_quality.smk"
include: f"{ROOT}/rules/figures.smk"
include: f"{ROOT}/rules/report.smk"
include: f"{ROOT}/rules/cluster.smk"


localrules:
    all,
    translations,
    datasets,
    train,
    judge,
    wmt,
    report,


# The inputs of the report are targets too. Otherwise, a table or data set that a failed job has deleted would not be
# rebuilt while the report of an earlier run still exists.
rule all:
    default_target: True
    input:
        rules.build_report.output,
        [*rules.build_report.input],
        expand(R / "policies/{policy}/policy.json", policy=PLAN.trained),
        R / "figures/lengths.svg",
        R / "tables/estimate.csv",


rule translations:
    """Translated prompts, responses and WMT24++ segments."""
    input:
        expand(R / "translations/{stem}.parquet", stem=[file.stem for file in PLAN.translations()]),


rule datasets:
    """The preference data set of each architecture, with its card."""
    input:
        expand(R / "datasets/{architecture}.parquet", architecture=PLAN.architectures),
        expand(R / "datasets/{architecture}/README.md", architecture=PLAN.architectures),


rule train:
    """A policy trained on each data set."""
    input:
        expand(R / "policies/{policy}/policy.json", policy=PLAN.trained),
        R / "figures/training.svg",


rule judge:
    """Verdicts on every policy against every opponent, and the tables that are computed from them."""
    input:
        expand(
            R / "verdicts/{policy}/{language}.parquet",
            policy=PLAN.policies,
            language=CONFIG.all_languages,
        ),
        R / "tables/win_rates.csv",
        R / "tables/judge_agreement.csv" if CONFIG.judging.second else [],


rule wmt:
    """BLEU and chrF++ scores of the translators on WMT24++, with heatmaps."""
    input:
        R / "tables/translation_scores.csv",
        R / "figures/bleu.svg",


rule report:
    """The report with all results; open results/report/index.html."""
    input:
        rules.build_report.output,


onstart:
    STARTED.append(time.time())
    check_place_of_store()  # again, because some executors change the storage settings after the rules were read
    if submits_to_slurm() and shutil.which("squeue"):
        print(cancel_queued(Path.cwd()), end="")


onsuccess:
    print_summary(R, STARTED[-1], sys.stdout)


onerror:
    print(failure_summary(R, log))
