"""The batches and requests that a configuration implies, as pure functions of the configuration.

The order of every list is independent of the order of keys in the configuration file (see :mod:`.artifacts`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from polypref.config.loading import checkpoint_of
from polypref.config.registry import Decoding, Runtime
from polypref.config.sections import ENGLISH
from polypref.config.uses import checkpoints_of
from polypref.plan.artifacts import Artifacts
from polypref.requests.judge import LABELS

SECOND = "second/"
"""Folder of the second judge's files below those of its task."""


@dataclass(frozen=True)
class Plan(Artifacts):
    """The artifacts and batches of a configuration."""

    # -- batches --------------------------------------------------------------------------------------------------

    def batches(self) -> dict[tuple[str, str], list[str]]:
        """The requests files of every batch: {(task, checkpoint): [stem of a requests file, ...]}.

        An ``answer`` batch is named after its policy or opponent, because the base, each trained variant and each
        opponent have different weights.
        """
        return self._batches

    @cached_property
    def _batches(self) -> dict[tuple[str, str], list[str]]:
        models, judging = self.config.models, self.config.judging
        judges = [(judging.judge, ""), *([(judging.second.judge, SECOND)] if judging.second else [])]
        uses = [
            *(("translate", checkpoint_of(models[t.model], t.language), t.stem) for t in self.translations()),
            *(("rate", rater, file.rating_stem) for rater in self.raters for file in self.rated()),
            *(("generate", checkpoint_of(models[r.model], r.language), r.stem) for r in self.responses()),
            *(("answer", name, f"{name}/{code}") for name in self.answerers for code in self.config.all_languages),
            *(
                ("judge", judge, f"{folder}{policy}/{code}")
                for judge, folder in judges
                for policy in self.policies
                for code in self.config.all_languages
            ),
            *(("judge", judging.judge, stem) for stem in self.sanity_files),
        ]
        batches: dict[tuple[str, str], list[str]] = {}
        for task, checkpoint, stem in uses:
            batches.setdefault((task, checkpoint), []).append(stem)
        return {key: sorted(stems) for key, stems in sorted(batches.items())}

    def batch_checkpoint(self, task: str, name: str) -> str:
        """Registry name of a batch's checkpoint; a trained variant uses the entry of its base model."""
        if task == "answer" and name in self.policies:
            return self.config.training.base
        return name

    def batch_runtime(self, task: str, name: str) -> Runtime:
        """Runtime options of a batch."""
        return self.config.checkpoints[self.batch_checkpoint(task, name)].runtime

    def batches_on_gpu(self) -> str:
        """Regular expression for the names of batches that request GPUs, each preceded by its ``{task}/``."""
        names = [
            f"(?<={task}/){re.escape(name)}" for task, name in self.batches() if self.batch_runtime(task, name).gpus
        ]
        return "|".join(names) or "(?!)"

    # -- request parameters: the values that determine completions, as params of rules ----------------------------

    def weights(self, name: str) -> dict[str, Any]:
        """Path and revision of a registry checkpoint; the revision of a local one is in its identity file."""
        checkpoint = self.config.checkpoints[name]
        return {"path": checkpoint.path, "revision": checkpoint.revision, "local": checkpoint.is_local}

    def training_settings(self, policy: str) -> dict[str, Any]:
        """The settings of a training other than ``runtime``, with the seed of the policy."""
        return self.config.training.recipe() | {"seed": self.trained[policy][1]}

    def trainee(self) -> dict[str, Any]:
        """The base model, as an input of training."""
        name = self.config.training.base
        return {**self.weights(name), "chat_template": self.config.checkpoints[name].chat_template}

    def _request_settings(self, model: str, name: str, decoding: Decoding, **extra: Any) -> dict[str, Any]:
        checkpoint = self.config.checkpoints[name]
        if checkpoint.extra_body:
            extra["extra_body"] = checkpoint.extra_body
        if checkpoint.reasoning:
            extra["reasoning"] = checkpoint.reasoning
        return {
            "model": model,
            **self.weights(name),
            "dtype": checkpoint.dtype,
            "chat_template": checkpoint.chat_template,
            "decoding": {**decoding.model_dump(exclude_none=True), **extra},
        }

    def request_settings_of_model(self, model: str, language: str, translate: bool = False) -> dict[str, Any]:
        """Request parameters of a translator or generator in a language."""
        entry = self.config.models[model]
        name = checkpoint_of(entry, language)
        checkpoint = self.config.checkpoints[name]
        codes = {}
        if translate and checkpoint.engine == "seq2seq" and checkpoint.languages:
            own = {code: checkpoint.code_of(code, self.languages[code].nllb) for code in (ENGLISH, language)}
            codes = {"source_code": own[ENGLISH], "target_code": own[language]}
        settings = self._request_settings(model, name, entry.decoding, **codes)
        return settings if translate else {**settings, **self._system_role(name)}

    def _system_role(self, name: str) -> dict[str, str]:
        """How a generator or an opponent handles system messages; empty if its chat template decides."""
        checkpoint = self.config.checkpoints[name]
        role = checkpoint.system_role or ("keep" if checkpoint.engine == "openai" else None)
        return {"system_role": role} if role else {}

    def request_settings_of_generator(self, model: str) -> dict[str, Any]:
        """Request parameters of a generator by checkpoint; they do not depend on the configured languages."""
        entry = self.config.models[model]
        return {
            name: {**self._request_settings(model, name, entry.decoding), **self._system_role(name)}
            for name in sorted(checkpoints_of(entry))
        }

    def request_settings_of_policy(self, policy: str) -> dict[str, Any]:
        """Request parameters of a policy or an opponent; ``policy.json`` has the weights of a trained variant."""
        name = self.batch_checkpoint("answer", policy)
        settings = self._request_settings(policy, name, self.config.evaluation.decoding)
        # policies were trained with what the chat template does with system messages
        chats = self.config.evaluation.has_conversations and policy not in self.policies
        return {**settings, **self._system_role(name)} if chats else settings

    def request_settings_of_judge(self, second: bool = False) -> dict[str, Any]:
        """Request parameters of a judge; its decoding is constrained to three labels if the engine supports it."""
        judge = self.config.judging.second if second else self.config.judging
        choices = {"choices": list(LABELS)} if judge.parser == "label" else {}
        return self._request_settings(judge.judge, judge.judge, judge.decoding, **choices)

    def request_settings_of_rater(self, rater: str) -> dict[str, Any]:
        """Request parameters of the rater."""
        return self._request_settings(rater, rater, self.config.rating.decoding)

    def sampled_runs(self) -> dict[str, int] | None:
        """Number and seed of the runs if each run is judged separately; None if both orders are judged once."""
        judging = self.config.judging
        return {"runs": judging.runs, "seed": judging.seed} if judging.counting == "sampled" else None
