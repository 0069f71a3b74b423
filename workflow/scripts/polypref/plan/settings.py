"""Settings of rules downstream of a batch; each set of settings is a file that is an input of its rule.

Snakemake checks whether a job's parameters or list of inputs have changed only if none of its upstream jobs runs. So
when a batch runs, for example because a language was removed, Snakemake would miss changes of the parameters downstream
of it: artifacts take the completions of the batch as ``ancient()`` inputs, which never make them stale. A settings file
is written by a job without upstream jobs, so its changes are always detected and propagated.
"""

from __future__ import annotations

from typing import Any

from polypref.plan.plan import Plan


def settings(plan: Plan, what: str) -> dict[str, Any]:
    """Return the settings named ``generate.MODEL``, ``dataset.ARCHITECTURE``, or like a key of the table below."""
    kind, _, name = what.partition(".")
    if kind == "generate":
        return plan.asked_of_generator(name)
    if kind == "dataset":
        aligned = {"align": plan.architectures} if plan.config.diagnostics.align else {}
        return {"fields": plan.dataset_fields(name), "drop": plan.config.diagnostics.dropped_flags, **aligned}
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
