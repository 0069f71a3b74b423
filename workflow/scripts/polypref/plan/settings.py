"""The settings of rules that run behind a batch, each in a file of its own that its rule takes as an input.

Snakemake looks at a job's own reasons to run (changed parameters, another list of inputs) only where no job before it
runs. A batch that runs, if only because a language was taken out, would so hide every change behind it, since the
artifacts between take the batch's completions as ``ancient()``. A file of settings is made by a job with nothing before
it: it is never hidden, and what it changes is passed on.
"""

from __future__ import annotations

from typing import Any

from polypref.plan.plan import Plan


def settings(plan: Plan, what: str) -> dict[str, Any]:
    """The settings under a name: ``generate.MODEL``, ``dataset.ARCHITECTURE``, or one of those in the table below."""
    kind, _, name = what.partition(".")
    if kind == "generate":
        return plan.asked_of_generator(name)
    if kind == "dataset":
        return {"fields": plan.dataset_fields(name), "drop": sorted(plan.config.diagnostics.drop)}
    config = plan.config
    made = {
        "training": lambda: {"base": plan.trainee(), "training": config.training.model_dump(exclude={"runtime"})},
        "answer": lambda: {**plan.asked_of_policy("base"), "model": "a policy"},
        "judge": lambda: {
            "asked": plan.asked_of_judge(),
            "opponents": sorted(set(config.evaluation.opponents)),
            **({"sampled": plan.sampled_runs()} if plan.sampled_runs() else {}),
        },
        "second_judge": lambda: {
            "asked": plan.asked_of_judge(second=True),
            "share": config.judging.second.share,
            "seed": config.judging.seed,
        },
        "tables": lambda: {
            "policies": plan.policies,
            "languages": config.all_languages,
            "sources": sorted(config.sources),
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
    return made[kind]()
