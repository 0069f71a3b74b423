"""Error lines for a configuration; each names the key, the value found and the allowed values."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from polypref.config.sections import Architecture, Config, Language
from polypref.config.yaml_guesses import guess_of_number, guess_of_text


def fault(key: str, found: Any, allowed: str) -> str:
    """Format one error as a line."""
    return f"{key}: found {found!r}; allowed: {allowed}"


def one_of(names: Any, found: Any = None) -> str:
    """List the allowed names, and suggest the one closest to ``found``."""
    names = sorted(map(str, names))
    close = difflib.get_close_matches(str(found), names, n=1)
    return (", ".join(names) or "nothing (none is defined)") + (f" (did you mean {close[0]!r}?)" if close else "")


def language_like(code: str, languages: dict[str, Language]) -> str:
    """Name the table of languages, and suggest the code that is closest to ``code``, an unknown code or a name."""
    others = {
        str(other).casefold(): key
        for key, entry in reversed(languages.items())
        for other in (f"{entry.wmt24pp or '-'}"[:-3], entry.iso639_3, entry.wmt24pp, entry.nllb, entry.name, key)
    }
    close = difflib.get_close_matches(code.casefold(), others, n=1)
    return "a code of resources/languages.yaml" + (f" (did you mean {others[close[0]]!r}?)" if close else "")


def explain(error: Any, raw: dict[str, Any]) -> str:
    """Format a pydantic error as key, value found and allowed values."""
    loc = [part for part in error["loc"] if not _is_type_name(part)]
    key = ".".join(map(str, loc))
    if loc[:1] == ["architectures"] and len(loc) >= 3 and loc[2] in Architecture.model_fields:
        found = _value_at(raw, loc[:3])
        if found is not None:  # one line per field; pydantic reports an error for each alternative type
            return fault(".".join(map(str, loc[:3])), found, str(Architecture.model_fields[loc[2]].description))
    if guess := _yaml_guess(error):
        if error["loc"][-1] == "[key]":
            return f"{'.'.join(map(str, loc[:-1]))}: found the key {error['input']!r}; {guess}"
        return f"{key}: found {error['input']!r}; {guess}"
    if error["type"] == "extra_forbidden":
        parent = _model_at(Config, loc[:-1])
        return f"{key}: unknown key; allowed: {one_of(parent.model_fields if parent else {}, loc[-1])}"
    if error["type"] == "missing":
        return f"{key}: is missing; it is required"
    if error["type"] == "too_short" or (error["type"] in _SECTION and error["input"] is None):
        return f"{key}: is empty"
    if error["type"] in _SECTION:
        return fault(key, error["input"], "a section of keys and values")
    if error["type"] == "string_pattern_mismatch":
        return fault(key, error["input"], "a name that is valid in file paths: letters, digits and . _ + -")
    return fault(key, error["input"], error["msg"].removeprefix("Input should be ").removeprefix("Value error, "))


def explain_all(errors: Iterable[Any], raw: dict[str, Any]) -> list[str]:
    """Format pydantic's errors as sorted lines.

    If YAML has misread a value, only one line is written for it, without pydantic's errors for the alternative types.
    """
    errors = list(errors)
    guessed = [tuple(p for p in e["loc"] if not _is_type_name(p)) for e in errors if _yaml_guess(e)]
    lines = set()
    for error in errors:
        place = tuple(part for part in error["loc"] if not _is_type_name(part))
        if _yaml_guess(error) or not any(place == other[: len(place)] for other in guessed):
            lines.add(explain(error, raw))
    return sorted(lines)


def _yaml_guess(error: Any) -> str | None:
    """Explain an error that is due to a value misread by YAML; return None for other errors."""
    if error["type"] == "string_type":
        return guess_of_text(error["input"])
    return guess_of_number(error["input"]) if error["type"] in ("int_parsing", "float_parsing") else None


_SECTION = ("dict_type", "model_type")
"""pydantic's error types if it expected a mapping."""


def _is_type_name(part: Any) -> bool:
    return part in {"Translate", "Generate", "str", "literal['english']", "[key]"} or (
        isinstance(part, str) and part.startswith(("dict[", "list[", "function-", "constrained-"))
    )


def _value_at(raw: Any, loc: list[Any]) -> Any:
    for part in loc:
        raw = raw.get(part) if isinstance(raw, dict) else None
    return raw


def _model_at(model: type[BaseModel], loc: list[Any]) -> type[BaseModel] | None:
    """The section at a location, or None."""
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
