"""The artifacts, requests and batches that a configuration implies, as pure functions of the configuration.

The order of every list is independent of the order of keys in the configuration file, so that reordering the file does
not change the inputs of any rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from polypref.config.diagnostics import EQUAL
from polypref.config.loading import checkpoint_of, serves
from polypref.config.registry import Decoding, Runtime
from polypref.config.sections import ENGLISH, Architecture, Config, Generate, Language, Native, Translate
from polypref.config.uses import checkpoints_of
from polypref.files.schemas import FIELDS
from polypref.requests.judge import LABELS

TASKS = ("translate", "generate", "answer", "judge")
SECOND = "second/"
"""Folder of the second judge's files below those of its task."""
SANITY = "sanity"
"""Name of the judge's sanity set among the requests and verdicts of its task."""


class Translation(NamedTuple):
    """A file of translations: corpus ``pairs`` or ``wmt``, field, translator, language."""

    corpus: str
    field: str
    model: str
    language: str

    @property
    def stem(self) -> str:
        return "/".join(self)


class Response(NamedTuple):
    """A file of generated responses: origin of the prompt (see :meth:`Plan.origin`), generator, language."""

    origin: str
    model: str
    language: str

    @property
    def stem(self) -> str:
        return "/".join(self)


@dataclass(frozen=True)
class Plan:
    """The artifacts and batches of a configuration; ``languages`` is the table of languages."""

    config: Config
    languages: dict[str, Language]

    # -- artifacts ------------------------------------------------------------------------------------------------

    @property
    def architectures(self) -> list[str]:
        return sorted(self.config.architectures)

    @property
    def policies(self) -> list[str]:
        """The base model and the trained variants."""
        return ["base", *self.trained]

    @property
    def trained(self) -> dict[str, tuple[str, int]]:
        """Architecture and seed of each trained policy, by name.

        The name is the architecture's for the seed ``training.seed``; another seed follows the architecture's name, so
        that a further seed renames no file.
        """
        training = self.config.training
        return {
            name if seed == training.seed else f"{name}.s{seed}": (name, seed)
            for name in self.architectures
            for seed in training.all_seeds
        }

    @property
    def trained_names(self) -> dict[str, tuple[str, str]]:
        """Architecture and label of each trained policy; empty if each policy has the name of its architecture."""
        several = len(self.config.training.all_seeds) > 1
        names = {name: (own, f"{own}.s{seed}" if several else own) for name, (own, seed) in self.trained.items()}
        return {} if all(name == label for name, (_, label) in names.items()) else names

    @property
    def answerers(self) -> list[str]:
        """Names of the models that answer the evaluation prompts: policies, then opponents."""
        return [*self.policies, *sorted(set(self.config.evaluation.opponents))]

    def wmt_languages(self, translator: str) -> list[str]:
        """Languages on which a translator is scored: those that both it and the test set support."""
        model = self.config.models[translator]
        scores = self.config.wmt.scores
        return [c for c in self.config.targets if serves(model, c) and scores(c, self.languages[c].wmt24pp)]

    @property
    def all_wmt_languages(self) -> list[str]:
        return sorted({code for name in self.config.wmt.translators for code in self.wmt_languages(name)})

    def wmt_translations(self) -> list[Translation]:
        names = sorted(set(self.config.wmt.translators))
        return [Translation("wmt", "source", name, code) for name in names for code in self.wmt_languages(name)]

    def origin(self, architecture: Architecture, language: str) -> str:
        """Origin of an architecture's prompt in a language: ``english``, a translator or a set of native prompts."""
        if language == ENGLISH or architecture.prompt == "english":
            return "english"
        return architecture.prompt.native if isinstance(architecture.prompt, Native) else architecture.prompt.translate

    def field_file(self, name: str, field: str, language: str) -> Translation | Response | None:
        """The artifact that contains a field of an architecture; None for the English original."""
        architecture = self.config.architectures[name]
        source = getattr(architecture, field)
        if isinstance(source, Generate):
            return Response(self.origin(architecture, language), source.generate, language)
        if isinstance(source, Translate) and language != ENGLISH:
            return Translation("pairs", field, source.translate, language)
        return None

    def _field_files(self) -> list[Translation | Response]:
        files = {
            self.field_file(name, field, language)
            for name in self.architectures
            for field in FIELDS
            for language in self.config.all_languages
        }
        return sorted(file for file in files if file is not None)

    def pair_translations(self) -> list[Translation]:
        return [file for file in self._field_files() if isinstance(file, Translation)]

    def translations(self) -> list[Translation]:
        return [*self.pair_translations(), *self.wmt_translations()]

    def responses(self) -> list[Response]:
        return [file for file in self._field_files() if isinstance(file, Response)]

    @property
    def sanity_files(self) -> list[str]:
        """The stem of the requests of the judge's sanity set, or nothing if the set is switched off."""
        return [SANITY] if self.config.health.sanity_prompts else []

    # -- batches --------------------------------------------------------------------------------------------------

    def batches(self) -> dict[tuple[str, str], list[str]]:
        """The requests files of every batch: {(task, checkpoint): [stem of a requests file, ...]}.

        An ``answer`` batch is named after its policy or opponent, because the base, each trained variant and each
        opponent have different weights.
        """
        models, judging = self.config.models, self.config.judging
        judges = [(judging.judge, ""), *([(judging.second.judge, SECOND)] if judging.second else [])]
        uses = [
            *(("translate", checkpoint_of(models[t.model], t.language), t.stem) for t in self.translations()),
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
        """What a generator or an opponent does with system messages; nothing if its chat template decides."""
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

    def sampled_runs(self) -> dict[str, int] | None:
        """Number and seed of the runs if each run is judged separately; None if both orders are judged once."""
        judging = self.config.judging
        return {"runs": judging.runs, "seed": judging.seed} if judging.counting == "sampled" else None

    # -- data sets ------------------------------------------------------------------------------------------------

    def dataset_fields(self, name: str) -> dict[str, dict[str, str | None]]:
        """The files with the fields of an architecture: {language: {field: path of the artifact, or None}}."""
        files = {}
        for language in self.config.all_languages:
            artifacts = {field: self.field_file(name, field, language) for field in FIELDS}
            files[language] = {field: self._artifact(file) if file else None for field, file in artifacts.items()}
        return files

    def _artifact(self, file: Translation | Response) -> str:
        kind = "translations" if isinstance(file, Translation) else "responses"
        return f"{self.config.results}/{kind}/{file.stem}.parquet"

    def dataset_inputs(self, name: str) -> list[str]:
        """The artifacts that are joined into an architecture's data set, and its native prompts."""
        artifacts = {path for fields in self.dataset_fields(name).values() for path in fields.values() if path}
        return sorted(artifacts | set(self.native_files(name).values()))

    def native_files(self, name: str) -> dict[str, str]:
        """The files of an architecture's native prompts by language; nothing if its prompts come from the base set."""
        prompt = self.config.architectures[name].prompt
        if not isinstance(prompt, Native):
            return {}
        return {code: self.native_file(prompt.native, code) for code in self.config.targets}

    def native_file(self, native: str, language: str) -> str:
        """The file of the sampled prompts of a native set in a language."""
        return f"{self.config.results}/native/{native}/{language}.parquet"

    def all_native_files(self) -> list[str]:
        """The files of native prompts of all architectures."""
        return sorted({path for name in self.architectures for path in self.native_files(name).values()})

    @property
    def drops_by_diagnostics(self) -> bool:
        """Whether pairs are dropped for flags that only the diagnostics can set."""
        return bool(set(self.config.diagnostics.dropped_flags) - {EQUAL})

    def licenses(self, name: str) -> dict[str, str]:
        """Licence of every data set and model that an architecture uses."""
        found = {source: entry.license for source, entry in self.config.sources.items()}
        prompt = self.config.architectures[name].prompt
        if isinstance(prompt, Native):
            found[prompt.native] = self.config.native[prompt.native].license
        for language in self.config.all_languages:
            for field in FIELDS:
                file = self.field_file(name, field, language)
                if file is not None:
                    checkpoint = checkpoint_of(self.config.models[file.model], language)
                    found[checkpoint] = self.config.checkpoints[checkpoint].license
        return dict(sorted(found.items()))
