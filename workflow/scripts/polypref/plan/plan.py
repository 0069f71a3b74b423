"""Which artifacts, requests and batches a configuration implies: pure functions of the configuration.

Every list is in a fixed order that does not depend on the order of keys in the file, so that reordering a config
changes no rule's inputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from polypref.config.loading import checkpoint_of, serves
from polypref.config.registry import Runtime
from polypref.config.sections import ENGLISH, Architecture, Config, Decoding, Generate, Language, Translate
from polypref.config.uses import checkpoints_of
from polypref.files.schemas import FIELDS
from polypref.requests.judge import LABELS

TASKS = ("translate", "generate", "answer", "judge")
SECOND = "second/"
"""Folder of the second judge's files below those of its task."""


class Translation(NamedTuple):
    """A translated text file: corpus ``pairs`` or ``wmt``, field, translator, language."""

    corpus: str
    field: str
    model: str
    language: str

    @property
    def stem(self) -> str:
        return "/".join(self)


class Response(NamedTuple):
    """A file of generated responses: origin of the prompt (``english`` or its translator), generator, language."""

    origin: str
    model: str
    language: str

    @property
    def stem(self) -> str:
        return "/".join(self)


@dataclass(frozen=True)
class Plan:
    """The artifacts of a configuration; ``languages`` is the table of languages."""

    config: Config
    languages: dict[str, Language]

    # -- what is used ---------------------------------------------------------------------------------------------

    @property
    def architectures(self) -> list[str]:
        return sorted(self.config.architectures)

    @property
    def policies(self) -> list[str]:
        """The base model and the trained variants."""
        return ["base", *self.architectures]

    @property
    def answerers(self) -> list[str]:
        """Everyone who answers the evaluation prompts: policies, then opponents."""
        return [*self.policies, *sorted(set(self.config.evaluation.opponents))]

    def wmt_languages(self, translator: str) -> list[str]:
        """Languages on which a translator is scored: those that it serves and that WMT24++ has."""
        model = self.config.models[translator]
        return [code for code in self.config.targets if serves(model, code) and self.languages[code].wmt24pp]

    @property
    def all_wmt_languages(self) -> list[str]:
        return sorted({code for name in self.config.wmt.translators for code in self.wmt_languages(name)})

    def wmt_translations(self) -> list[Translation]:
        names = sorted(set(self.config.wmt.translators))
        return [Translation("wmt", "source", name, code) for name in names for code in self.wmt_languages(name)]

    def origin(self, architecture: Architecture, language: str) -> str:
        """Where the prompt of an architecture comes from in a language: ``english`` or a translator's name."""
        if language == ENGLISH or not isinstance(architecture.prompt, Translate):
            return "english"
        return architecture.prompt.translate

    def field_file(self, name: str, field: str, language: str) -> Translation | Response | None:
        """The artifact that a field of an architecture is read from; None for the English original."""
        architecture = self.config.architectures[name]
        made = getattr(architecture, field)
        if isinstance(made, Generate):
            return Response(self.origin(architecture, language), made.generate, language)
        if isinstance(made, Translate) and language != ENGLISH:
            return Translation("pairs", field, made.translate, language)
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

    # -- batches --------------------------------------------------------------------------------------------------

    def batches(self) -> dict[tuple[str, str], list[str]]:
        """Requests of every batch: {(task, checkpoint): [stem of a requests file, ...]}.

        The checkpoint of an ``answer`` batch is named by its policy or opponent: the base, a trained variant and an
        opponent are different weights.
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
        ]
        batches: dict[tuple[str, str], list[str]] = {}
        for task, checkpoint, stem in uses:
            batches.setdefault((task, checkpoint), []).append(stem)
        return {key: sorted(stems) for key, stems in sorted(batches.items())}

    def batch_checkpoint(self, task: str, name: str) -> str:
        """Registry name of the checkpoint of a batch: a variant runs with the settings of its base."""
        if task == "answer" and name in self.policies:
            return self.config.training.base
        return name

    def batch_runtime(self, task: str, name: str) -> Runtime:
        """How a batch is run."""
        return self.config.checkpoints[self.batch_checkpoint(task, name)].runtime

    def batches_on_gpu(self) -> str:
        """Regular expression for the names of batches that ask for GPUs, each told by the ``{task}/`` before it."""
        names = [
            f"(?<={task}/){re.escape(name)}" for task, name in self.batches() if self.batch_runtime(task, name).gpus
        ]
        return "|".join(names) or "(?!)"

    # -- what is asked: the values that determine answers, as a rule's params -------------------------------------

    def weights(self, name: str) -> dict[str, Any]:
        """Path and revision of a registry checkpoint; a local one's revision is in its identity file."""
        checkpoint = self.config.checkpoints[name]
        return {"path": checkpoint.path, "revision": checkpoint.revision, "local": checkpoint.is_local}

    def trainee(self) -> dict[str, Any]:
        """The base model as training takes it."""
        name = self.config.training.base
        return {**self.weights(name), "chat_template": self.config.checkpoints[name].chat_template}

    def _asked(self, model: str, name: str, decoding: Decoding, **extra: Any) -> dict[str, Any]:
        checkpoint = self.config.checkpoints[name]
        return {
            "model": model,
            **self.weights(name),
            "dtype": checkpoint.dtype,
            "chat_template": checkpoint.chat_template,
            "decoding": {**decoding.model_dump(exclude_none=True), **extra},
        }

    def asked_of_model(self, model: str, language: str, translate: bool = False) -> dict[str, Any]:
        """What is asked of a translator or generator in a language."""
        entry = self.config.models[model]
        name = checkpoint_of(entry, language)
        checkpoint = self.config.checkpoints[name]
        codes = {}
        if translate and checkpoint.engine == "seq2seq" and checkpoint.languages:
            codes = {"source_code": checkpoint.languages[ENGLISH], "target_code": checkpoint.languages[language]}
        return self._asked(model, name, entry.decoding, **codes)

    def asked_of_generator(self, model: str) -> dict[str, Any]:
        """What is asked of a generator, by checkpoint: the same whatever the languages are."""
        entry = self.config.models[model]
        return {name: self._asked(model, name, entry.decoding) for name in sorted(checkpoints_of(entry))}

    def asked_of_policy(self, policy: str) -> dict[str, Any]:
        """What is asked of a policy or an opponent; a trained variant's weights are in its ``policy.json``."""
        return self._asked(policy, self.batch_checkpoint("answer", policy), self.config.evaluation.decoding)

    def asked_of_judge(self, second: bool = False) -> dict[str, Any]:
        """What is asked of a judge: one of three labels, by constrained decoding where the engine can."""
        judge = self.config.judging.second if second else self.config.judging
        return self._asked(judge.judge, judge.judge, judge.decoding, choices=list(LABELS))

    def sampled_runs(self) -> dict[str, int] | None:
        """Number and seed of the runs that are judged one by one; None where both orders are judged once."""
        judging = self.config.judging
        return {"runs": judging.runs, "seed": judging.seed} if judging.counting == "sampled" else None

    # -- data sets ------------------------------------------------------------------------------------------------

    def dataset_fields(self, name: str) -> dict[str, dict[str, str | None]]:
        """Where each field of an architecture is read from: {language: {field: path under results/, or None}}."""
        files = {}
        for language in self.config.all_languages:
            made = {field: self.field_file(name, field, language) for field in FIELDS}
            files[language] = {field: self._artifact(file) if file else None for field, file in made.items()}
        return files

    def _artifact(self, file: Translation | Response) -> str:
        kind = "translations" if isinstance(file, Translation) else "responses"
        return f"{self.config.results}/{kind}/{file.stem}.parquet"

    def dataset_inputs(self, name: str) -> list[str]:
        """The artifacts that an architecture is joined from."""
        return sorted({path for fields in self.dataset_fields(name).values() for path in fields.values() if path})

    @property
    def drops_by_diagnostics(self) -> bool:
        """Whether data sets leave pairs out for what only diagnostics find."""
        return bool(set(self.config.diagnostics.drop) - {"chosen_equals_rejected"})

    def licenses(self, name: str) -> dict[str, str]:
        """Licence of every data set and model that an architecture is made from."""
        found = {source: entry.license for source, entry in self.config.sources.items()}
        for language in self.config.all_languages:
            for field in FIELDS:
                file = self.field_file(name, field, language)
                if file is not None:
                    checkpoint = checkpoint_of(self.config.models[file.model], language)
                    found[checkpoint] = self.config.checkpoints[checkpoint].license
        return dict(sorted(found.items()))
