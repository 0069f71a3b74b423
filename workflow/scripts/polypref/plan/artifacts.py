"""The artifacts that a configuration implies: translations, responses, answers and the data sets joined from them.

The order of every list is independent of the order of keys in the configuration file, so that reordering the file does
not change the inputs of any rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from polypref.config.diagnostics import EQUAL
from polypref.config.loading import checkpoint_of, serves
from polypref.config.sections import ENGLISH, Architecture, Config, Generate, Language, Native, Translate
from polypref.files.schemas import FIELDS

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

    @property
    def rating_stem(self) -> str:
        """The stem of the requests and ratings for these translations, which are of the base set."""
        return "/".join(self[1:])


class Response(NamedTuple):
    """A file of generated responses: origin of the prompt (see :meth:`Plan.origin`), generator, language."""

    origin: str
    model: str
    language: str

    @property
    def stem(self) -> str:
        return "/".join(self)


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of a configuration; ``languages`` is the table of languages.

    Lists of all languages or policies are computed once, because input functions of many jobs use them.
    """

    config: Config
    languages: dict[str, Language]

    # -- texts ----------------------------------------------------------------------------------------------------

    @cached_property
    def architectures(self) -> list[str]:
        return sorted(self.config.architectures)

    @cached_property
    def policies(self) -> list[str]:
        """The base model and the trained variants."""
        return ["base", *self.trained]

    @cached_property
    def trained(self) -> dict[str, tuple[str, int]]:
        """Architecture and seed of each trained policy, by name.

        A policy with the seed ``training.seed`` has the name of its architecture. For other seeds, the seed is
        appended, so that adding a seed renames no file.
        """
        training = self.config.training
        return {
            name if seed == training.seed else f"{name}.s{seed}": (name, seed)
            for name in self.architectures
            for seed in training.all_seeds
        }

    @cached_property
    def trained_names(self) -> dict[str, tuple[str, str]]:
        """Architecture and label of each trained policy; empty if each policy has the name of its architecture."""
        several = len(self.config.training.all_seeds) > 1
        names = {name: (own, f"{own}.s{seed}" if several else own) for name, (own, seed) in self.trained.items()}
        return {} if all(name == label for name, (_, label) in names.items()) else names

    @cached_property
    def answerers(self) -> list[str]:
        """Names of the models that answer the evaluation prompts: policies, then opponents."""
        return [*self.policies, *sorted(set(self.config.evaluation.opponents))]

    def wmt_languages(self, translator: str) -> list[str]:
        """Languages on which a translator is scored: those that both it and the test set support."""
        model = self.config.models[translator]
        scores = self.config.wmt.scores
        return [c for c in self.config.targets if serves(model, c) and scores(c, self.languages[c].wmt24pp)]

    @cached_property
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

    @cached_property
    def _field_files(self) -> list[Translation | Response]:
        files = {
            self.field_file(name, field, language)
            for name in self.architectures
            for field in FIELDS
            for language in self.config.all_languages
        }
        return sorted(file for file in files if file is not None)

    def pair_translations(self) -> list[Translation]:
        return [file for file in self._field_files if isinstance(file, Translation)]

    def translations(self) -> list[Translation]:
        return [*self.pair_translations(), *self.wmt_translations()]

    def rated(self) -> list[Translation]:
        """The translations that are rated: those of the base set, or none if ratings are off."""
        return self.pair_translations() if self.config.rating.is_on else []

    @property
    def raters(self) -> list[str]:
        """The checkpoint of the rater, or none if there is no rater, or COMETKiwi rates."""
        return [self.config.rating.rater] if self.config.rating.rater else []

    def ratings(self, name: str) -> dict[str, dict[str, str]]:
        """The files with the ratings of an architecture's translations: {language: {field: path}}."""
        rated, files = set(self.rated()), {}
        for language in self.config.targets:
            found = {field: self.field_file(name, field, language) for field in FIELDS}
            files[language] = {field: self.ratings_file(file) for field, file in found.items() if file in rated}
        return {language: fields for language, fields in files.items() if fields}

    def ratings_file(self, file: Translation) -> str:
        """The file with the ratings of a file of translations."""
        return f"{self.config.results}/ratings/{file.rating_stem}.parquet"

    def responses(self) -> list[Response]:
        return [file for file in self._field_files if isinstance(file, Response)]

    @property
    def sanity_files(self) -> list[str]:
        """The stem of the requests of the judge's sanity set; empty if the set is disabled."""
        return [SANITY] if self.config.health.sanity_prompts else []

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
        """The files of an architecture's native prompts by language; empty if its prompts come from the base set."""
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
        return bool(set(self.config.dropped_flags) - {EQUAL})

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
