"""Loading a configuration: merge in the registry, validate every section, and cross-check the sections.

All errors are reported at once; each line names the key, the value found and the allowed values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from polypref.config.data import data_files, find_file, is_local_data
from polypref.config.faults import explain_all, fault, language_like, one_of
from polypref.config.searches import check_searches
from polypref.config.sections import (
    CONVERSATIONAL,
    ENGLISH,
    Checkpoint,
    Config,
    Generate,
    Language,
    Model,
    Native,
    Translate,
)
from polypref.config.translation_prompts import TRANSLATION_PROMPTS, is_translation_prompt
from polypref.config.uses import check_decodings, check_prompts, check_roles, check_runtimes, checkpoints_of
from polypref.config.yaml_guesses import misread_numbers

try:  # PyYAML's loader in C is several times as fast
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader


class ConfigError(ValueError):
    """The configuration is invalid; the message lists every error."""


def read_languages(root: Path) -> dict[str, Language]:
    """Read the table of languages, ``resources/languages.yaml``, by code."""
    return _read_table(find_file("resources/languages.yaml", root).resolve())


@cache
def _read_table(path: Path) -> dict[str, Language]:
    text = path.read_text(encoding="utf-8")
    return {code: Language.model_validate(entry) for code, entry in yaml.load(text, Loader=SafeLoader).items()}


def load_config(raw: dict[str, Any], root: Path, files: Iterable[str | Path] = ()) -> Config:
    """Merge the registry into a configuration and validate the result.

    Parameters
    ----------
    raw : dict
        The parsed configuration file.
    root : Path
        The workflow's folder, which contains ``resources/``.
    files : iterable of str or Path
        The YAML files that ``raw`` was read from; they are checked for numbers that YAML misreads and repeated keys.

    Raises
    ------
    ConfigError
        If the configuration is invalid; the message has one line per error.
    """
    registry = str(raw.get("registry", Config.model_fields["registry"].default))
    path = find_file(registry, root)
    if not path.is_file():
        raise ConfigError(fault("config: registry", registry, "a file that exists"))
    merged = _merged(_read_registry(path), raw)
    misread = [line for file in (*files, path) for line in misread_numbers(Path(file))]
    try:
        config = Config.model_validate({**raw, **merged})
    except ValidationError as error:
        raise ConfigError(_listing([*misread, *explain_all(error.errors(), {**raw, **merged})])) from None
    faults = [*misread, *check(config, read_languages(root), root)]
    if faults:
        raise ConfigError(_listing(faults))
    return config


REGISTRY = ("checkpoints", "models")
"""Sections of a registry; a configuration may add entries to them."""


def _read_registry(path: Path) -> dict[str, Any]:
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    sections = entries if isinstance(entries, dict) else {"no section": entries}
    if not sections.keys() <= {*REGISTRY} or not all(isinstance(part or {}, dict) for part in sections.values()):
        found = ", ".join(f"{name} ({type(section).__name__})" for name, section in sections.items())
        raise ConfigError(f"{path}: found {found}; allowed: {' and '.join(REGISTRY)}, sections of keys and values")
    return entries


def _merged(entries: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    """Merge the configuration's entries into the registry's sections; the validation rejects values of other types."""
    given = {key: {} if raw.get(key) is None else raw[key] for key in REGISTRY}
    return {key: {**(entries.get(key) or {}), **own} if isinstance(own, dict) else own for key, own in given.items()}


def _listing(lines: list[str]) -> str:
    head = "the configuration has an error" if len(lines) == 1 else f"the configuration has {len(lines)} errors"
    return "\n".join([f"{head}:", *(f"  {line}" for line in lines)])


def check(config: Config, languages: dict[str, Language], root: Path) -> Iterator[str]:
    """Yield the errors that involve several sections, files or the table of languages."""
    for code in config.languages:
        if code not in languages:
            yield fault("languages", code, language_like(code, languages))
    known = [code for code in config.targets if code in languages]
    yield from _check_data(config, root)
    yield from dict.fromkeys(_check_test_sets(config, root))
    yield from _check_models(config)
    yield from _check_served(config, languages)
    yield from _check_architectures(config, known, languages)
    yield from _check_native(config, {code: languages[code] for code in known}, root)
    yield from _check_wmt(config, known, languages)
    yield from check_roles(config)
    yield from check_decodings(config)
    yield from check_searches(config, lambda path: find_file(path, root))
    yield from check_runtimes(config)
    yield from check_prompts(config, lambda path: find_file(path, root))
    reserved = set(config.checkpoints) | {"base"}
    for name in sorted(set(config.architectures) & reserved):
        yield fault(f"architectures.{name}", name, "a name other than 'base' and the names of checkpoints")
    others = reserved | set(config.architectures)
    for taken in sorted({f"{name}.s{seed}" for name in config.architectures for seed in config.training.all_seeds}):
        if taken in others:
            allowed = f"seeds without a policy name that is already used ({taken})"
            yield fault("training.seeds", config.training.all_seeds, allowed)
    if not find_file(config.figures.style, root).is_file():
        yield fault("figures.style", config.figures.style, "a matplotlib style file that exists")


def _check_data(config: Config, root: Path) -> Iterator[str]:
    for name, source in config.sources.items():
        if is_local_data(source.path):
            files = data_files(source.path, root)
            if not files:
                yield fault(f"sources.{name}.path", source.path, "a path with at least one data file")
            for file in (file for file in files if not Path(file).is_file()):
                yield fault(f"sources.{name}.path", file, "a file that exists, or the name of a data set on the Hub")
        if source.turns and source.format not in CONVERSATIONAL:
            yield fault(f"sources.{name}.turns", source.turns, f"none: format {source.format} has no conversations")
    for name, checkpoint in config.checkpoints.items():
        if checkpoint.base_url and "api_key_env" not in checkpoint.model_fields_set:
            yield (
                f"checkpoints.{name}.api_key_env: is missing; allowed: the environment variable with the key of "
                f"{checkpoint.base_url} (name OPENAI_API_KEY explicitly to send it to this host)"
            )
        if checkpoint.is_local and not find_file(checkpoint.path, root).is_dir():
            yield fault(
                f"checkpoints.{name}.path",
                checkpoint.path,
                "a folder that exists, or a repository (OWNER/NAME) on the Hub",
            )


def _check_models(config: Config) -> Iterator[str]:
    for name, model in config.models.items():
        for checkpoint in checkpoints_of(model):
            if checkpoint not in config.checkpoints:
                allowed = f"a checkpoint: {one_of(config.checkpoints, checkpoint)}"
                yield fault(f"models.{name}.checkpoint", checkpoint, allowed)
        if model.prompt is not None and not is_translation_prompt(model.prompt):
            allowed = f"{one_of(TRANSLATION_PROMPTS, model.prompt)}, or a template with {{text}} and {{language}}"
            yield fault(f"models.{name}.prompt", model.prompt, allowed)


def _check_served(config: Config, languages: dict[str, Language]) -> Iterator[str]:
    """Check the language codes of models and checkpoints; a typo would silently leave the language's cells empty."""
    named = {f"checkpoints.{name}.languages": entry.languages for name, entry in config.checkpoints.items()}
    for name, model in config.models.items():
        named[f"models.{name}.languages"] = model.languages
        if isinstance(model.checkpoint, dict):
            named[f"models.{name}.checkpoint"] = model.checkpoint
    for key, codes in named.items():
        for code in () if codes in (None, "nllb") else codes:
            if code not in languages:
                yield fault(key, code, language_like(code, languages))


def serves(model: Model, language: str) -> bool:
    """Whether a model supports a language according to the registry."""
    if model.languages is not None:
        return language in model.languages
    return language in model.checkpoint if isinstance(model.checkpoint, dict) else True


def checkpoint_of(model: Model, language: str) -> str:
    """Name of the checkpoint that a model uses for a language."""
    return model.checkpoint[language] if isinstance(model.checkpoint, dict) else model.checkpoint


def _check_use(
    config: Config, key: str, name: str, language: str, languages: dict[str, Language], translator: bool
) -> Iterator[str]:
    """Check that a model supports a language, and that it has the language code that its engine needs."""
    model = config.models[name]
    if not serves(model, language):
        served = model.languages if model.languages is not None else model.checkpoint
        yield fault(key, f"{name} for {language}", f"a model that supports it; {name} supports {one_of(served)}")
        return
    checkpoint: Checkpoint | None = config.checkpoints.get(checkpoint_of(model, language))
    if translator and model.prompt is None:
        yield fault(f"models.{name}.prompt", None, f"{one_of(TRANSLATION_PROMPTS)}, since it is used to translate")
    if checkpoint and checkpoint.engine == "seq2seq" and not translator:
        yield fault(key, name, f"a model that generates responses; {name} is a translator (engine seq2seq)")
    elif checkpoint and checkpoint.engine == "seq2seq":
        for code in ("en", language):
            if checkpoint.code_of(code, languages[code].nllb if code in languages else None) is None:
                where = f"checkpoints.{checkpoint_of(model, language)}.languages"
                yield fault(where, f"no code for {code!r}", f"a code for every language that it is used for ({key})")


def _check_architectures(config: Config, targets: list[str], languages: dict[str, Language]) -> Iterator[str]:
    seen, english = set(), [ENGLISH] * (ENGLISH in config.languages)
    for name, architecture in config.architectures.items():
        for field in ("prompt", "chosen", "rejected"):
            origin, key = getattr(architecture, field), f"architectures.{name}.{field}"
            if not isinstance(origin, (Translate, Generate)):
                continue
            translator = isinstance(origin, Translate)
            model = origin.translate if isinstance(origin, Translate) else origin.generate
            if model not in config.models:
                yield fault(key, model, f"a model: {one_of(config.models, model)}")
                continue
            # English responses are generated as in other languages, but English is never translated
            for language in targets if translator else [*english, *targets]:
                for line in _check_use(config, key, model, language, languages, translator):
                    if line not in seen:
                        seen.add(line)
                        yield line


def _check_test_sets(config: Config, root: Path) -> Iterator[str]:
    """Check the paths of own test sets, and that options of own sets are not set for others."""
    for key, section, known in (("wmt", config.wmt, "wmt24pp"), ("evaluation", config.evaluation, "aya")):
        if section.format == known:
            for name in ("subset", "split", "columns"):
                if getattr(section, name) is not None:
                    yield f"{key}.{name}: is only for own sets; set {key}.format"
            if not isinstance(section.path, str):
                yield fault(f"{key}.path", section.path, f"one path; several only with {key}.format: own")
            continue
        scored = [code for code in config.targets if config.wmt.translators and config.wmt.scores(code, None)]
        for code in scored if key == "wmt" else config.all_languages:
            path = section.own(section.path, code)["path"]
            if is_local_data(path):
                files = data_files(path, root)
                for file in [] if files and all(Path(file).is_file() for file in files) else files or [path]:
                    yield fault(f"{key}.path", file, "a file that exists, or the name of a data set on the Hub")
    for code in config.wmt.languages or ():
        if code not in config.languages:
            yield fault("wmt.languages", code, one_of(config.targets, code))


def _check_native(config: Config, targets: dict[str, Language], root: Path) -> Iterator[str]:
    """Check the sets of native prompts, and the architectures that use them."""
    for name in sorted(config.native.keys() & {*config.models, *config.sources, ENGLISH, "english"}):
        yield fault(f"native.{name}", name, "a name other than 'english' and the names of models and sources")
    for name, architecture in config.architectures.items():
        if not isinstance(architecture.prompt, Native):
            continue
        key, native = f"architectures.{name}", architecture.prompt.native
        for field in ("chosen", "rejected"):
            if not isinstance(getattr(architecture, field), Generate):
                yield fault(
                    f"{key}.{field}", "not generated", "{generate: MODEL}, since a native prompt has no answers"
                )
        if config.diagnostics.align:
            yield fault("diagnostics.align", True, f"false: the pairs of {key} have no counterpart in other data sets")
        if native not in config.native:
            yield fault(f"{key}.prompt", native, f"a set in `native`: {one_of(config.native, native)}")
            continue
        for code, language in targets.items():
            path = config.native[native].of_language(code, language.iso639_3).path
            if is_local_data(path) and not all(Path(file).is_file() for file in data_files(path, root) or [path]):
                yield fault(f"native.{native}.path", path, "a file that exists, or the name of a data set on the Hub")


def _check_wmt(config: Config, targets: list[str], languages: dict[str, Language]) -> Iterator[str]:
    for name in config.wmt.translators:
        if name not in config.models:
            yield fault("wmt.translators", name, f"a model: {one_of(config.models, name)}")
            continue
        for language in targets:
            if serves(config.models[name], language) and config.wmt.scores(language, languages[language].wmt24pp):
                yield from _check_use(config, "wmt.translators", name, language, languages, True)
