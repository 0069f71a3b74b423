"""Settings of rules downstream of a batch; each set of settings is a file that is an input of its rule.

Snakemake checks whether a job's parameters or list of inputs have changed only if none of its upstream jobs runs. So
when a batch runs, for example because a language was removed, Snakemake would miss changes of the parameters downstream
of it: artifacts take the completions of the batch as ``ancient()`` inputs, which never make them stale. A settings file
is written by a job without upstream jobs, so its changes are always detected and propagated.
"""

from __future__ import annotations

from typing import Any

from polypref.config.data import is_local_data
from polypref.config.sections import ENGLISH, Evaluation, Translate
from polypref.files.schemas import FIELDS
from polypref.plan.plan import Plan
from polypref.sources.benchmarks import AYA_CONFIGS, aya_configs


def settings(plan: Plan, what: str) -> dict[str, Any]:
    """Return the settings named ``generate.MODEL``, ``dataset.ARCHITECTURE``, or like a key of the table below."""
    kind, _, name = what.partition(".")
    if kind == "generate":
        return plan.request_settings_of_generator(name)
    if kind == "dataset":
        aligned = {"align": plan.architectures} if plan.config.diagnostics.align else {}
        native = {"native": plan.native_files(name)} if plan.native_files(name) else {}
        flagged = {"expected": expected_texts(plan, name)} if plan.drops_by_diagnostics else {}
        drop = plan.config.diagnostics.dropped_flags
        return {"fields": plan.dataset_fields(name), "drop": drop, **aligned, **native, **flagged}
    config = plan.config
    others = {
        "training": lambda: {"base": plan.trainee(), "training": config.training.recipe()},
        "answer": lambda: {**plan.request_settings_of_policy("base"), "model": "a policy"},
        "judge": lambda: {
            "request_settings": plan.request_settings_of_judge(),
            "opponents": sorted(set(config.evaluation.opponents)),
            "parser": config.judging.parser,
            "sanity": {"prompts": config.health.sanity_prompts, "seed": config.judging.seed},
            **({"sampled": plan.sampled_runs()} if plan.sampled_runs() else {}),
        },
        "second_judge": lambda: {
            "request_settings": plan.request_settings_of_judge(second=True),
            "parser": config.judging.second.parser,
            "share": config.judging.second.share,
            "seed": config.judging.seed,
        },
        "tables": lambda: {
            "policies": plan.policies,
            "languages": config.all_languages,
            "sources": sorted(config.sources),
            "health": config.health.model_dump(),
            **(
                {"native": {name: plan.native_files(name) for name in plan.architectures}}
                if plan.all_native_files()
                else {}
            ),
        },
        "verdicts": lambda: {
            "judging": {"mode": config.judging.counting, "runs": config.judging.runs, "seed": config.judging.seed},
            "policies": plan.policies,
            "opponents": sorted(set(config.evaluation.opponents)),
            "languages": config.all_languages,
        },
        "wmt": lambda: {
            "translations": [file.stem for file in plan.wmt_translations()],
            "tokenizers": {code: plan.languages[code].bleu_tokenizer for code in plan.all_wmt_languages},
            **({"comet": config.wmt.comet} if config.wmt.comet else {}),
        },
        "report": config.shown,
    }
    return others[kind]()


def expected_texts(plan: Plan, architecture: str) -> dict[str, Any]:
    """Return the arguments of :class:`polypref.datasets.diagnostics.Expected` for an architecture."""
    diagnostics, made = plan.config.diagnostics, plan.config.architectures[architecture]
    languages = {code: plan.languages[code] for code in plan.config.targets}
    return {
        "translated": [field for field in FIELDS if isinstance(getattr(made, field), Translate)],
        "scripts": {code: language.script for code, language in languages.items()},
        "length_ratios": {code: language.length_ratio for code, language in languages.items()},
        "lengths": list(diagnostics.length_ratio),
        "sentences": diagnostics.sentence_ratio,
    }


def _compared_own(evaluation: Evaluation, languages: list[str]) -> dict[str, Any]:
    """Return the columns of the user's own evaluation set, and its parts on the Hub (one per language if divided)."""
    found = [evaluation.own_prompts(code) for code in languages]
    names = ("path", "subset", "split")
    parts = [] if is_local_data(evaluation.path) else list(dict.fromkeys(tuple(own[n] for n in names) for own in found))
    return {"columns": found[0]["columns"], "revision": evaluation.revision, "parts": [list(part) for part in parts]}


def compared_evaluation(plan: Plan) -> dict[str, Any]:
    """Return what `sample_pairs` reads of an evaluation set on the Hub; local files of a set are inputs instead."""
    evaluation = plan.config.evaluation
    if plan.config.sampling.contaminated == "keep":
        return {"configs": []}
    if evaluation.format != "aya":
        return {"configs": [], "own": _compared_own(evaluation, sorted(plan.config.languages))}
    if is_local_data(evaluation.path):
        return {"configs": []}
    configs = AYA_CONFIGS if plan.config.targets else aya_configs(ENGLISH)
    return {"path": evaluation.path, "revision": evaluation.revision, "configs": list(configs)}
