"""Files, and the lists of a job's files and wildcards, for :mod:`polypref.running.faster_plans`.

A file in a plan is a text with flags. Snakemake searches each for wildcards, path variables, storage and flags, many
times; most have none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from snakemake.io import WILDCARD_REGEX, AnnotatedString, _IOFile
from snakemake.iocontainers import Namedlist

PLAIN_PATH = re.compile(r"(?!\./)/?[\w.+,=@~-]+(?:/[\w.+,=@~-]+)*")
"""Paths about which Snakemake has no warning."""


# -- lists ------------------------------------------------------------------------------------------------------------


def copy_empty_list(init: Callable) -> Callable:
    """Create lists with names (inputs, wildcards, resources) by copying the attributes of an empty one.

    Snakemake imports names and creates the same objects, which all lists can share, for each list.
    """
    empty: dict[str, Any] = {}

    def create(self: Any, toclone: Any = None, fromdict: Any = None, *arguments: Any, **options: Any) -> None:
        if arguments or any(options.values()):
            return init(self, toclone, fromdict, *arguments, **options)
        if not empty:
            init(self)
            empty.update(vars(self))
        list.__init__(self, () if toclone is None else toclone)
        vars(self).update(empty)
        self._names = {}
        if isinstance(toclone, Namedlist):
            self._take_names(toclone._get_names())
        for name, item in (fromdict or {}).items():
            self.append(item)
            self._set_name(name, len(self) - 1)

    return create


@functools.cache
def may_be_named(kind: type, name: str) -> bool:
    """Whether an item of a list of this class can have a name, because no attribute of the class has it."""
    return not hasattr(kind, name)


def name_item(set_name: Callable) -> Callable:
    """Name one item of a list, and remember which names are reserved."""

    def name(self: Any, name: str, index: int, end: int | None = None) -> None:
        if end is None and may_be_named(type(self), name):
            self._names[name] = (index, None)
            vars(self)[name] = list.__getitem__(self, index)
        else:
            set_name(self, name, index, end)

    return name


# -- files ------------------------------------------------------------------------------------------------------------


def create_plain_file(new: Callable) -> Callable:
    """Create a file from a plain text without looking for path variables, which are in angle brackets, and storage."""

    def create(kind: type, file: Any, rule: Any) -> Any:
        if type(file) is not str or "<" in file or file.endswith("/"):
            return new(kind, file, rule)
        created = str.__new__(kind, file)
        created._is_callable, created._file, created.rule = False, file, rule
        created._regex = created._wildcard_constraints = None
        return created

    return staticmethod(create)


def keep_plain_path(modify: Callable) -> Callable:
    """Return a path as it is if the workflow has no prefix and no default storage for it."""

    def modified(self: Any, path: Any, property: Any = None) -> Any:
        storage = self.workflow.storage_settings.default_storage_provider
        if storage is None and self.prefix is self._prefix_replacements is self.inner_modifier is None:
            return path
        return modify(self, path, property)

    return modified


def look_up_existence(exists: Callable) -> Callable:
    """Whether a file exists, from the table of files that Snakemake keeps; absent files are entered in it too."""

    async def look_up(self: Any) -> bool:
        if self.is_storage or not self.rule.workflow.iocache.active:
            return await exists(self)
        known = self.rule.workflow.iocache.exists_local
        found = dict.get(known, self)
        if found is None:
            found = known[self] = await exists(self)
        return found

    return look_up


def look_up_flag(is_flagged: Callable) -> Callable:
    """Look up flags such as ``ancient`` without checks of abstract classes. Each file is asked for many, many times."""

    def is_flagged_quickly(value: Any, flag: str) -> bool:
        if type(value) is _IOFile:
            value = value._file
        if type(value) is AnnotatedString:
            return bool(value._flags.get(flag))
        return type(value) is not str and is_flagged(value, flag)

    return is_flagged_quickly


def look_up_storage(is_storage: property) -> property:
    """Whether a file is in a storage; see :func:`look_up_flag`."""

    def is_in_storage(self: Any) -> bool:
        if type(self._file) is AnnotatedString:
            return bool(self._file._flags.get("storage_object"))
        return type(self._file) is not str and is_storage.fget(self)

    return property(is_in_storage)


def name_unflagged(fmt_iofile: Callable) -> Callable:
    """Name a file in messages. Snakemake asks for nine flags, also if the file has none."""

    def name(file: Any, *arguments: Any, **options: Any) -> str:
        return str(file) if type(file) is _IOFile and not file.flags else fmt_iofile(file, *arguments, **options)

    return name


def check_odd_paths(check: Callable) -> Callable:
    """Warn about odd paths, such as those with two slashes, but compare a plain path with only one pattern."""

    def check_path(self: Any) -> None:
        if callable(self._file) or not PLAIN_PATH.fullmatch(self._file):
            check(self)

    return check_path


@functools.cache
def pieces(pattern: str) -> tuple[str, ...]:
    """Split a path into texts (first, third, ...) and names of wildcards (second, fourth, ...)."""
    found, end = [], 0
    for match in WILDCARD_REGEX.finditer(pattern):
        found += [pattern[end : match.start()], match["name"]]
        end = match.end()
    return (*found, pattern[end:])


def fill_in_wildcards(apply_wildcards: Callable) -> Callable:
    """Replace the wildcards in a path, and copy its flags, without searching it again for each job."""

    def apply(self: Any, wildcards: Any) -> Any:
        if type(self._file) not in (str, AnnotatedString) or self.is_callable() or self.is_storage:
            return apply_wildcards(self, wildcards)
        text = str(self._file)
        if "{" in text:
            try:
                text = "".join(str(wildcards[part]) if n % 2 else part for n, part in enumerate(pieces(text)))
            except KeyError:
                return apply_wildcards(self, wildcards)  # raises an error that names the wildcard
            if "<" in text or text.endswith("/"):
                return apply_wildcards(self, wildcards)
        file = AnnotatedString(text)
        file.flags = self.flags.copy()
        copied = str.__new__(_IOFile, file)
        copied._is_callable, copied._file, copied.rule = False, file, self.rule
        copied._regex = copied._wildcard_constraints = None
        return copied

    return apply
