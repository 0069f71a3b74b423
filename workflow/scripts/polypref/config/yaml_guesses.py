"""Detecting values that YAML 1.1 parses in an unexpected way: ``no`` (False), ``010`` (8), ``1:30`` (90)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_EXPONENT = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+")


def guess_of_text(value: Any) -> str | None:
    """Explain why an unquoted word was parsed as a value that is not a string; return None for other values."""
    if isinstance(value, bool):
        words = "yes, on and true" if value else "no, off and false"
        return f"YAML reads the unquoted words {words} as {value}; put the word in quotes"
    if isinstance(value, (datetime.date, datetime.datetime)):
        return f"YAML reads an unquoted {value.isoformat()} as a date; put it in quotes"
    if isinstance(value, (int, float)):
        return "YAML reads unquoted digits as a number; put the value in quotes"
    return None


def guess_of_number(value: Any) -> str | None:
    """Explain why a number was parsed as text; return None if the text does not look like a number."""
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return f"YAML reads {value} as text or as a fraction; write the number in full: {float(value):.15g}"
    return None


def misread_numbers(path: Path) -> Iterator[str]:
    """Yield a message for each number that YAML silently parses as another number, and for each repeated key.

    A file that can't be parsed yields nothing; loading it reports the error.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    yield from (f"{path}:{line}: {problem}" for line, problem in sorted(set(_problems(root, ()))))


def _problems(node: yaml.Node | None, seen: tuple[yaml.Node, ...]) -> Iterator[tuple[int, str]]:
    if node is None or any(node is parent for parent in seen):  # an anchor may contain itself
        return
    parents = (*seen, node)
    if isinstance(node, yaml.ScalarNode):
        if problem := _misread(node):
            yield node.start_mark.line + 1, problem
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _problems(child, parents)
    elif isinstance(node, yaml.MappingNode):
        keys: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in keys:
                    yield line, f"{key.value} is already defined in line {keys[key.value]}; remove one of the two"
                keys[key.value] = line
            yield from _problems(key, parents)
            yield from _problems(child, parents)


def _misread(node: yaml.ScalarNode) -> str | None:
    if node.style is not None or not node.tag.endswith((":int", ":float")):
        return None
    if node.tag.endswith(":int") and _OCTAL.fullmatch(node.value):
        decimal = node.value.replace("_", "").lstrip("+-0") or "0"
        return (
            f"YAML reads {node.value} as an octal number; write {decimal} for a decimal number, or put it in quotes "
            "for a text"
        )
    if _BASE_60.fullmatch(node.value):
        return f"YAML reads {node.value} as a number in base 60; write a decimal number, or put it in quotes for a text"
    return None
