"""Pin repositories: write the current commit of each unpinned repository next to its ``path`` in the YAML files.

Values are edited in the text. The files are not dumped again, so comments, anchors and key order are preserved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from polypref.files.tables import atomic_write
from polypref.plan.needs import Repository, repositories
from polypref.plan.plan import Plan


class PinError(RuntimeError):
    """No file was changed; the message lists every repository that can't be pinned, with the reason."""


def unpinned(plan: Plan) -> list[Repository]:
    """List the repositories of the configuration that have no revision."""
    return [repository for repository in repositories(plan) if not repository.revision]


def _entries(node: yaml.Node, seen: set[int]) -> Iterator[yaml.MappingNode]:
    """Iterate over all mappings of a document, each once (an alias is the same node as its anchor)."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
    for child in node.value if isinstance(node.value, list) else []:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _entries(part, seen)


def pinned_text(text: str, commits: dict[str, str]) -> tuple[str, set[str]]:
    """Insert a ``revision`` after each ``path`` in ``commits`` that has none; return the new text and the pinned paths.

    Parameters
    ----------
    text : configuration or registry
    commits : {path of a repository: commit}
    """
    edits: list[tuple[int, int, str]] = []
    pinned = set()
    for entry in _entries(yaml.compose(text) or yaml.MappingNode("", []), set()):
        values = {key.value: value for key, value in entry.value if isinstance(key, yaml.ScalarNode)}
        path, revision = values.get("path"), values.get("revision")
        if not isinstance(path, yaml.ScalarNode):
            continue
        commit = commits.get(path.value) or _null_for_anchor(values, commits)
        if commit is None:
            continue
        pinned |= {path.value} & commits.keys()
        if revision is not None:  # `revision:` and `revision: null`
            current = text[revision.start_mark.index : revision.end_mark.index]
            if current in ("", "~", "null"):
                edits.append((revision.start_mark.index, revision.end_mark.index, commit if current else f" {commit}"))
            continue
        key = next(key for key, value in entry.value if value is path)
        separator = ", " if entry.flow_style else "\n" + " " * key.start_mark.column
        end = path.end_mark.index if entry.flow_style else _line_end(text, path.end_mark.index)
        edits.append((end, end, f"{separator}revision: {commit}"))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text, pinned


def _null_for_anchor(values: dict[str, yaml.Node], commits: dict[str, str]) -> str | None:
    """Return ``null`` if the entry merges (``<<``) one that is being pinned, whose commit it must not inherit."""
    parents = values.get("<<")
    for parent in parents.value if isinstance(parents, yaml.SequenceNode) else [parents]:
        if isinstance(parent, yaml.MappingNode):
            keys = {key.value: value for key, value in parent.value}
            if "revision" not in keys and getattr(keys.get("path"), "value", None) in commits:
                return "null"
    return None


def _line_end(text: str, index: int) -> int:
    """Return the end of the line, after a comment that belongs to the value."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end


def pin(
    plan: Plan, files: list[Path], get_commit: Callable[[Repository], str], report: Callable[[str], None] = print
) -> None:
    """Write the current commit of every unpinned repository into the files that contain its path.

    Parameters
    ----------
    files : configuration files and the registry
    get_commit : function that returns the current commit of a repository, as 40 hexadecimal digits, or raises
    report : called with one line per pinned repository

    Raises
    ------
    PinError
        A commit is not available, or no file contains the repository's path. Then no file is changed.
    """
    wanted = unpinned(plan)
    commits, faults = {}, []
    for repository in wanted:
        try:
            commits[repository.path] = get_commit(repository)
        except Exception as error:  # all faults are reported together
            faults.append(f"{repository.path}: {' '.join(str(error).split())[:300] or type(error).__name__}")
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    edited = {file: pinned_text(text, commits) for file, text in texts.items()}
    found = set().union(*(pinned for _, pinned in edited.values()))
    where = ", ".join(map(str, files)) or "a file, because there is no configuration file"
    faults += [f"{path}: there is no entry with this `path:` in {where}; add `revision: {commits[path]}` manually"
               for path in commits if path not in found]  # fmt: skip
    if faults:
        raise PinError(
            "\n".join(["no file was changed, because of these errors:", *(f"  {fault}" for fault in faults)])
        )
    for file, (text, pinned) in edited.items():
        if text != texts[file]:
            with atomic_write(file, "w") as out:
                out.write(text)
            for path in sorted(pinned):
                report(f"{file}: {path} at {commits[path]}")
    if not wanted:
        report("all repositories already have a revision")


def hub_commits(token: str | None, endpoint: str | None = None) -> Callable[[Repository], str]:
    """Return a function that gets the commit of a repository's main branch from the Hub."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token or False)

    def get_commit(repository: Repository) -> str:
        return api.repo_info(repository.path, repo_type=repository.kind, timeout=20).sha

    return get_commit
