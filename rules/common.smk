# Configuration, plan, and helpers shared by several stages.

import os
import re
import shutil
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from polypref.sources.benchmarks import AYA_CONFIGS, MACHINE_TRANSLATED, aya_configs, aya_path, wmt_path
from polypref.config.data import data_files, is_local_data
from polypref.config.loading import ConfigError, checkpoint_of, find_file, load_config, read_languages
from polypref.datasets.identification import NEIGHBOURS, imported_by_identification
from polypref.datasets.exports import CHATS, TEXTS, file_of, splits
from polypref.plan.needs import api_keys, nothing_outside, repositories
from polypref.plan.plan import Plan
from polypref.report.pages import FIGURES, KINDS, PAGES
from polypref.requests.engines.imports import imported_on_cpu
from polypref.plan.settings import compared_evaluation, expected_texts, settings
from polypref.running.fork_server import Imports
from polypref.running.faster_plans import speed_up_plans
from polypref.running.slurm import cancel_queued
from polypref.running.slurm_executor import adapt_executor
from polypref.running.summary import failure_summary, print_summary
from polypref.training.imports import imported_by_training

speed_up_plans()

try:
    CONFIG = load_config(config, ROOT, config_files())
except ConfigError as error:
    raise WorkflowError(str(error)) from None

LANGUAGES = read_languages(ROOT)
PLAN = Plan(CONFIG, LANGUAGES)
R = Path(CONFIG.results)
STARTED = []


def check_place_of_store():
    """Stop a run whose jobs would lose the row store and the trained models, which are no files that Snakemake knows."""
    if not shares_files() and not R.is_absolute():
        raise WorkflowError(
            f"results: {CONFIG.results!r} is relative to the working directory, which the jobs of this run do not share. "
            "The row store (store/) and the trained models (trained/) lie in this folder. Set `results` to an absolute path "
            "on a volume that is mounted in all jobs; see docs/cluster.md, 'Other executors'"
        )


check_place_of_store()


wildcard_constraints:
    task="translate|rate|generate|answer|judge",
    corpus="pairs|wmt",
    field="prompt|chosen|rejected|source",
    language="|".join(CONFIG.all_languages),
    source="[^/]+",
    checkpoint="[^/]+",
    model="[^/]+",
    origin="[^/]+",
    native="[^/]+",
    policy="[^/]+",
    what="[^/]+",
    architecture="|".join(PLAN.architectures),


def local_file(path):
    """Resolve a path of the configuration in the working directory or in the workflow's folder."""
    return str(find_file(path, ROOT))


def native_prompts(wildcards):
    """The section of a set of native prompts, for one language."""
    return CONFIG.native[wildcards.native].of_language(wildcards.language, LANGUAGES[wildcards.language].iso639_3)


def given_file(path):
    """A file of the user or the workflow as an input; `local` keeps it out of a default storage like S3."""
    return local(local_file(path))


def local_data(path):
    """The local files of a data path as inputs; an empty list if the path is a data set on the Hub."""
    return local(data_files(path, ROOT)) if is_local_data(path) else []


def prompt_files(language):
    """The local files with the evaluation prompts of a language; an empty list if they are on the Hub."""
    if CONFIG.evaluation.format != "aya":
        return local_data(CONFIG.evaluation.own_prompts(language)["path"])
    return [
        file
        for name in aya_configs(language)
        for file in local_data(aya_path(CONFIG.evaluation, LANGUAGES[language], name))
        if Path(file).exists() or name == MACHINE_TRANSLATED
    ]


def prompts_path(language):
    """Where the evaluation prompts of a language are: the Aya suite's path, or what to read of one's own set."""
    own = CONFIG.evaluation.format != "aya"
    kind = {"format": CONFIG.evaluation.format}
    return {**kind, **CONFIG.evaluation.own_prompts(language)} if own else CONFIG.evaluation.path


def segments_path(language):
    """Where the segments of a language are: WMT24++'s path, or what to read of one's own set."""
    own = CONFIG.wmt.format == "own"
    return CONFIG.wmt.own(CONFIG.wmt.path, language) if own else wmt_path(CONFIG.wmt, LANGUAGES[language])


def segment_files(language):
    """The local files with the segments of a language; an empty list if they are on the Hub."""
    path = segments_path(language)
    return local_data(path if isinstance(path, str) else path["path"])


def evaluation_files():
    """The local files of the evaluation set in all languages, configured or not; nothing for a set on the Hub."""
    if CONFIG.evaluation.format != "aya":
        paths = {file for code in LANGUAGES for file in local_data(CONFIG.evaluation.own_prompts(code)["path"])}
    else:
        paths = {
            file
            for language in LANGUAGES.values()
            for name in AYA_CONFIGS
            for file in local_data(aya_path(CONFIG.evaluation, language, name))
        }
    return sorted(path for path in paths if Path(path).exists())


LOCAL_CHECKPOINTS = {name for name, checkpoint in CONFIG.checkpoints.items() if checkpoint.is_local}


def identity_of(name):
    """The file with a local checkpoint's content digest as a list; an empty list for a checkpoint on the Hub."""
    return [f"{R}/checkpoints/{name}.json"] if name in LOCAL_CHECKPOINTS else []


def policy_identity(name):
    """The file that identifies the weights of a policy or an opponent."""
    if name in PLAN.trained:
        return [f"{R}/policies/{name}/policy.json"]
    return identity_of(PLAN.batch_checkpoint("answer", name))


def checked():
    """The preflight as an input of every GPU job, unless nothing from outside is needed. It does not make files stale."""
    return [] if nothing_outside(PLAN) else [ancient(f"{R}/preflight.txt")]


def completions_of(task, checkpoint):
    """The completions of a batch. They do not make an artifact stale, because only its own requests can."""
    return ancient(f"{R}/completions/{task}/{checkpoint}.parquet")


def figure(name, category, title):
    """The outputs of a figure (SVG, PNG, and its data as CSV), which also appear in Snakemake's report."""
    return {
        f"{name}_{kind}": report(
            R / f"figures/{name}.{kind}",
            category=category,
            caption=f"../docs/captions/{name}.rst",
            labels={"figure": title, "file": kind.upper()},
        )
        for kind in KINDS
    }


def model_checkpoint(model, language):
    return checkpoint_of(CONFIG.models[model], language)


def imported_by_engine(wildcards):
    """What a batch imports on a CPU; None if its engine starts quickly or uses a GPU."""
    entry = CONFIG.checkpoints[PLAN.batch_checkpoint(wildcards.task, wildcards.checkpoint)]
    return None if entry.runtime.gpus else imported_on_cpu(entry.engine)


def imported_by_trainer(wildcards):
    """What a training on a CPU imports; None on GPUs."""
    runtime = CONFIG.training.runtime
    return imported_by_training(runtime.threads) if runtime.launcher == "cpu" else None


def imported_for_languages(wildcards):
    """What scripts import that identify the languages of texts."""
    return imported_by_identification([*CONFIG.all_languages, *NEIGHBOURS], "polypref.evaluation.biases")


def imported_for_report(wildcards):
    """What scripts import that plot figures or write pages of the report."""
    return Imports("report", ("polypref.report.report", "polypref.health.checks"))


def on_several_nodes(nodes):
    """Value of the resource `mpi`: 0 for a job on several nodes, else None.

    With 0, the Slurm executor starts the job directly on its first node. It would otherwise use srun, which cannot
    allocate the GPUs of several nodes.
    """
    return 0 if nodes > 1 else None
