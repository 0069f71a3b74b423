"""Reading a configuration: the registry is merged in, sections are checked against each other, errors are readable.

Everything wrong is listed at once; each line names the key, what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from polypref.config.faults import explain, fault, one_of
from polypref.config.sections import ENGLISH, Checkpoint, Config, Generate, Language, Model, Translate, is_local_data
from polypref.config.translation_prompts import TRANSLATION_PROMPTS, is_translation_prompt
from polypref.config.uses import check_decodings, check_judge_prompt, check_roles, check_runtimes, checkpoints_of


class ConfigError(ValueError):
    """The configuration is wrong; the message lists every fault."""


def find_file(path: str, root: Path) -> Path:
    """A relative path is looked up in the working directory first, then in the workflow's own folder."""
    return Path(path) if Path(path).exists() or Path(path).is_absolute() else _or_relative(root / path, path)


def _or_relative(candidate: Path, path: str) -> Path:
    return candidate if candidate.exists() else Path(path)


def read_languages(root: Path) -> dict[str, Language]:
    """The table of languages, ``resources/languages.yaml``, by ISO 639-1 code."""
    text = find_file("resources/languages.yaml", root).read_text(encoding="utf-8")
    return {code: Language.model_validate(entry) for code, entry in yaml.safe_load(text).items()}


def load_config(raw: dict[str, Any], root: Path) -> Config:
    """Merge the registry into a configuration and check the whole.

    Parameters
    ----------
    raw : dict
        The configuration file as YAML gives it.
    root : Path
        The workflow's folder, in which ``resources/`` lies.

    Raises
    ------
    ConfigError
        With one line per fault.
    """
    registry = str(raw.get("registry", Config.model_fields["registry"].default))
    path = find_file(registry, root)
    if not path.is_file():
        raise ConfigError(f"config: registry: found {registry!r}, which is not a file")
    merged = _merged(_read_registry(path), raw)
    try:
        config = Config.model_validate({**raw, **merged})
    except ValidationError as error:
        lines = sorted({explain(found, {**raw, **merged}) for found in error.errors()})
        raise ConfigError(_listing(lines)) from None
    faults = list(check(config, read_languages(root), root))
    if faults:
        raise ConfigError(_listing(faults))
    return config


REGISTRY = ("checkpoints", "models")
"""Sections that a registry has, and that a configuration may add to."""


def _read_registry(path: Path) -> dict[str, Any]:
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not readable as YAML: {' '.join(str(error).split())}") from None
    sections = entries if isinstance(entries, dict) else {"no section": entries}
    if not sections.keys() <= {*REGISTRY} or not all(isinstance(part or {}, dict) for part in sections.values()):
        found = ", ".join(f"{name} ({type(section).__name__})" for name, section in sections.items())
        raise ConfigError(f"{path}: found {found}; allowed: {' and '.join(REGISTRY)}, sections of keys and values")
    return entries


def _merged(entries: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    """The registry's sections with the configuration's own entries; what is no section is left for the check."""
    given = {key: {} if raw.get(key) is None else raw[key] for key in REGISTRY}
    return {key: {**(entries.get(key) or {}), **own} if isinstance(own, dict) else own for key, own in given.items()}


def _listing(lines: list[str]) -> str:
    head = "the configuration has an error" if len(lines) == 1 else f"the configuration has {len(lines)} errors"
    return "\n".join([f"{head}:", *(f"  {line}" for line in lines)])


def check(config: Config, languages: dict[str, Language], root: Path) -> Iterator[str]:
    """Yield what is wrong between the sections of a configuration that is well formed."""
    for code in config.languages:
        if code not in languages:
            yield fault("languages", code, f"{one_of(languages, code)} (resources/languages.yaml)")
    known = [code for code in config.targets if code in languages]
    yield from _check_data(config, root)
    yield from _check_models(config)
    yield from _check_served(config, languages)
    yield from _check_architectures(config, known)
    yield from _check_wmt(config, known, languages)
    yield from check_roles(config)
    yield from check_decodings(config)
    yield from check_runtimes(config)
    reserved = set(config.architectures) & (set(config.checkpoints) | {"base"})
    for name in sorted(reserved):
        yield fault(f"architectures.{name}", name, "a name that is not 'base' and no checkpoint has")
    prompt = find_file(config.judging.prompt, root)
    if prompt.is_file():
        yield from check_judge_prompt(config.judging.prompt, prompt.read_text(encoding="utf-8"))
    else:
        yield fault("judging.prompt", config.judging.prompt, "a text file that exists")
    if not find_file(config.figures.style, root).is_file():
        yield fault("figures.style", config.figures.style, "a matplotlib style file that exists")


def _check_data(config: Config, root: Path) -> Iterator[str]:
    for name, source in config.sources.items():
        if is_local_data(source.path) and not find_file(source.path, root).is_file():
            yield fault(f"sources.{name}.path", source.path, "a file that exists, or the name of a data set on the Hub")
    for name, checkpoint in config.checkpoints.items():
        if checkpoint.base_url and "api_key_env" not in checkpoint.model_fields_set:
            yield (
                f"checkpoints.{name}.api_key_env: is missing; allowed: the environment variable with the key of "
                f"{checkpoint.base_url} (OPENAI_API_KEY is sent to another host only where it is named)"
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
    """A mistyped code of a language that a model serves would leave its cells blank without a word."""
    named = {f"checkpoints.{name}.languages": checkpoint.languages for name, checkpoint in config.checkpoints.items()}
    for name, model in config.models.items():
        named[f"models.{name}.languages"] = model.languages
        if isinstance(model.checkpoint, dict):
            named[f"models.{name}.checkpoint"] = model.checkpoint
    for key, codes in named.items():
        for code in codes or ():
            if code not in languages:
                yield fault(key, code, f"{one_of(languages, code)} (resources/languages.yaml)")


def serves(model: Model, language: str) -> bool:
    """Whether a model is declared for a language."""
    if model.languages is not None:
        return language in model.languages
    return language in model.checkpoint if isinstance(model.checkpoint, dict) else True


def checkpoint_of(model: Model, language: str) -> str:
    """Name of the checkpoint that a model uses for a language."""
    return model.checkpoint[language] if isinstance(model.checkpoint, dict) else model.checkpoint


def _check_use(config: Config, key: str, name: str, language: str, translator: bool) -> Iterator[str]:
    """A model that is used for a language must exist, serve it, and have a code where its engine needs one."""
    model = config.models[name]
    if not serves(model, language):
        served = model.languages if model.languages is not None else model.checkpoint
        yield fault(key, f"{name} for {language}", f"a model that serves it; {name} serves {one_of(served)}")
        return
    checkpoint: Checkpoint | None = config.checkpoints.get(checkpoint_of(model, language))
    if translator and model.prompt is None:
        yield fault(f"models.{name}.prompt", None, f"{one_of(TRANSLATION_PROMPTS)}, since it is used to translate")
    if checkpoint and checkpoint.engine == "seq2seq" and not translator:
        yield fault(key, name, f"a model that answers; {name} is a translator (engine seq2seq)")
    elif checkpoint and checkpoint.engine == "seq2seq":
        for code in ("en", language):
            if code not in (checkpoint.languages or {}):
                where = f"checkpoints.{checkpoint_of(model, language)}.languages"
                yield fault(where, f"no code for {code!r}", f"a code for every language it is used for ({key})")


def _check_architectures(config: Config, targets: list[str]) -> Iterator[str]:
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
            # English is generated as any other language is, and never translated
            for language in targets if translator else [*english, *targets]:
                for line in _check_use(config, key, model, language, translator):
                    if line not in seen:
                        seen.add(line)
                        yield line


def _check_wmt(config: Config, targets: list[str], languages: dict[str, Language]) -> Iterator[str]:
    for name in config.wmt.translators:
        if name not in config.models:
            yield fault("wmt.translators", name, f"a model: {one_of(config.models, name)}")
            continue
        for language in targets:
            if serves(config.models[name], language) and languages[language].wmt24pp:
                yield from _check_use(config, "wmt.translators", name, language, True)
