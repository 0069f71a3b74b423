"""Reading a configuration: the registry is merged in, sections are checked against each other, errors are readable.

Everything wrong is listed at once; each line names the key, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from polypref.config import Architecture, Checkpoint, Config, Generate, Language, Model, Translate, is_local_data
from polypref.prompts import TRANSLATION_PROMPTS, is_translation_prompt


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
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    merged = {key: {**(entries.get(key) or {}), **(raw.get(key) or {})} for key in ("checkpoints", "models")}
    try:
        config = Config.model_validate({**raw, **merged})
    except ValidationError as error:
        lines = sorted({_explain(fault, {**raw, **merged}) for fault in error.errors()})
        raise ConfigError(_listing(lines)) from None
    faults = list(check(config, read_languages(root), root))
    if faults:
        raise ConfigError(_listing(faults))
    return config


def _listing(lines: list[str]) -> str:
    head = "the configuration has an error" if len(lines) == 1 else f"the configuration has {len(lines)} errors"
    return "\n".join([f"{head}:", *(f"  {line}" for line in lines)])


def _fault(key: str, found: Any, allowed: str) -> str:
    return f"{key}: found {found!r}; allowed: {allowed}"


def _one_of(names: Any, found: Any = None) -> str:
    names = sorted(map(str, names))
    close = difflib.get_close_matches(str(found), names, n=1)
    return (", ".join(names) or "nothing (none is defined)") + (f" (did you mean {close[0]!r}?)" if close else "")


def _explain(fault: Any, raw: dict[str, Any]) -> str:
    """One fault that pydantic found, as key, what was found and what is allowed."""
    loc = [part for part in fault["loc"] if not _is_type_name(part)]
    key = ".".join(map(str, loc))
    if fault["type"] == "extra_forbidden":
        parent = _model_at(Config, loc[:-1])
        fields = parent.model_fields if parent else {}
        return f"{key}: unknown key; allowed: {_one_of(fields, loc[-1])}"
    if fault["type"] == "missing":
        return f"{key}: is missing; it is required"
    if fault["type"] == "dict_type" and fault["input"] is None:
        return f"{key}: is empty"
    if loc and loc[0] == "architectures" and len(loc) >= 3:
        shape = Architecture.model_fields[str(loc[2])].description if str(loc[2]) in Architecture.model_fields else ""
        return _fault(".".join(map(str, loc[:3])), _value_at(raw, loc[:3]), str(shape))
    return _fault(key, fault["input"], fault["msg"].removeprefix("Input should be ").removeprefix("Value error, "))


def _is_type_name(part: Any) -> bool:
    return part in {"Translate", "Generate", "str", "literal['english']", "[key]"} or (
        isinstance(part, str) and part.startswith(("dict[", "list[", "function-", "constrained-"))
    )


def _value_at(raw: Any, loc: list[Any]) -> Any:
    for part in loc:
        raw = raw.get(part) if isinstance(raw, dict) else None
    return raw


def _model_at(model: type[BaseModel], loc: list[Any]) -> type[BaseModel] | None:
    """The section that a location leads to."""
    kind: Any = model
    for part in loc:
        kind = _unwrap(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if part not in kind.model_fields:
                return None
            kind = kind.model_fields[part].annotation
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
    kind = _unwrap(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _unwrap(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        return _unwrap(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        options = [o for o in get_args(kind) if o is not type(None) and get_origin(o) is not Literal]
        return _unwrap(options[0])
    return kind


def check(config: Config, languages: dict[str, Language], root: Path) -> Iterator[str]:
    """Yield what is wrong between the sections of a configuration that is well formed."""
    for code in config.languages:
        if code not in languages:
            yield _fault("languages", code, f"{_one_of(languages, code)} (resources/languages.yaml)")
    known = [code for code in config.targets if code in languages]
    yield from _check_data(config, root)
    yield from _check_models(config)
    yield from _check_architectures(config, known)
    yield from _check_wmt(config, known, languages)
    roles = {"training.base": [config.training.base], "judging.judge": [config.judging.judge]}
    roles["evaluation.opponents"] = list(config.evaluation.opponents)
    if config.judging.second:
        roles["judging.second.judge"] = [config.judging.second.judge]
        if config.judging.second.judge == config.judging.judge:
            yield _fault("judging.second.judge", config.judging.judge, "a checkpoint that is not judging.judge")
    for key, names in roles.items():
        for name in names:
            if name not in config.checkpoints:
                yield _fault(key, name, f"a checkpoint: {_one_of(config.checkpoints, name)}")
    reserved = set(config.architectures) & (set(config.checkpoints) | {"base"})
    for name in sorted(reserved):
        yield _fault(f"architectures.{name}", name, "a name that is not 'base' and no checkpoint has")
    if not find_file(config.judging.prompt, root).is_file():
        yield _fault("judging.prompt", config.judging.prompt, "a text file that exists")
    if not find_file(config.figures.style, root).is_file():
        yield _fault("figures.style", config.figures.style, "a matplotlib style file that exists")


def _check_data(config: Config, root: Path) -> Iterator[str]:
    for name, source in config.sources.items():
        if is_local_data(source.path) and not find_file(source.path, root).is_file():
            yield _fault(
                f"sources.{name}.path", source.path, "a file that exists, or the name of a data set on the Hub"
            )
    for name, checkpoint in config.checkpoints.items():
        if checkpoint.base_url and "api_key_env" not in checkpoint.model_fields_set:
            yield (
                f"checkpoints.{name}.api_key_env: is missing; allowed: the environment variable with the key of "
                f"{checkpoint.base_url} (OPENAI_API_KEY is sent to another host only where it is named)"
            )
        if checkpoint.is_local and not find_file(checkpoint.path, root).is_dir():
            yield _fault(
                f"checkpoints.{name}.path",
                checkpoint.path,
                "a folder that exists, or a repository (OWNER/NAME) on the Hub",
            )


def _check_models(config: Config) -> Iterator[str]:
    for name, model in config.models.items():
        names = model.checkpoint.values() if isinstance(model.checkpoint, dict) else [model.checkpoint]
        for checkpoint in names:
            if checkpoint not in config.checkpoints:
                allowed = f"a checkpoint: {_one_of(config.checkpoints, checkpoint)}"
                yield _fault(f"models.{name}.checkpoint", checkpoint, allowed)
        if model.prompt is not None and not is_translation_prompt(model.prompt):
            allowed = f"{_one_of(TRANSLATION_PROMPTS, model.prompt)}, or a template with {{text}} and {{language}}"
            yield _fault(f"models.{name}.prompt", model.prompt, allowed)


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
        yield _fault(key, f"{name} for {language}", f"a model that serves it; {name} serves {_one_of(served)}")
        return
    checkpoint: Checkpoint | None = config.checkpoints.get(checkpoint_of(model, language))
    if translator and model.prompt is None:
        yield _fault(f"models.{name}.prompt", None, f"{_one_of(TRANSLATION_PROMPTS)}, since it is used to translate")
    if checkpoint and checkpoint.engine == "seq2seq":
        for code in ("en", language):
            if code not in (checkpoint.languages or {}):
                where = f"checkpoints.{checkpoint_of(model, language)}.languages"
                yield _fault(where, f"no code for {code!r}", f"a code for every language it is used for ({key})")


def _check_architectures(config: Config, targets: list[str]) -> Iterator[str]:
    seen = set()
    for name, architecture in config.architectures.items():
        for field in ("prompt", "chosen", "rejected"):
            origin, key = getattr(architecture, field), f"architectures.{name}.{field}"
            if not isinstance(origin, (Translate, Generate)):
                continue
            translator = isinstance(origin, Translate)
            model = origin.translate if isinstance(origin, Translate) else origin.generate
            if model not in config.models:
                yield _fault(key, model, f"a model: {_one_of(config.models, model)}")
                continue
            for language in targets:
                for line in _check_use(config, key, model, language, translator):
                    if line not in seen:
                        seen.add(line)
                        yield line


def _check_wmt(config: Config, targets: list[str], languages: dict[str, Language]) -> Iterator[str]:
    for name in config.wmt.translators:
        if name not in config.models:
            yield _fault("wmt.translators", name, f"a model: {_one_of(config.models, name)}")
            continue
        for language in targets:
            if serves(config.models[name], language) and languages[language].wmt24pp:
                yield from _check_use(config, "wmt.translators", name, language, True)
