"""Pin: the commits at which unpinned repositories stand today, written beside their ``path`` in the YAML files.

The files are edited in place of a value, not dumped again: comments, anchors and the order of keys stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from polypref.files.tables import atomic_write
from polypref.plan.needs import Repository, repositories
from polypref.plan.plan import Plan


class PinError(RuntimeError):
    """Nothing was written; the message names every repository and why."""


def unpinned(plan: Plan) -> list[Repository]:
    """Repositories of the configuration that have no revision."""
    return [repository for repository in repositories(plan) if not repository.revision]


def _entries(node: yaml.Node, seen: set[int]) -> Iterator[yaml.MappingNode]:
    """All mappings in a document, each once (an alias is the node of its anchor)."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
    for child in node.value if isinstance(node.value, list) else []:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _entries(part, seen)


def pinned_text(text: str, commits: dict[str, str]) -> tuple[str, set[str]]:
    """YAML text with a ``revision`` after each ``path`` in ``commits`` that has none, and the paths that were pinned.

    Parameters
    ----------
    text : a configuration or a registry
    commits : {path of a repository: commit}
    """
    edits: list[tuple[int, int, str]] = []
    done = set()
    for entry in _entries(yaml.compose(text) or yaml.MappingNode("", []), set()):
        values = {key.value: value for key, value in entry.value if isinstance(key, yaml.ScalarNode)}
        path, revision = values.get("path"), values.get("revision")
        if not isinstance(path, yaml.ScalarNode):
            continue
        commit = commits.get(path.value) or _kept_null(values, commits)
        if commit is None:
            continue
        done |= {path.value} & commits.keys()
        if revision is not None:  # `revision:` and `revision: null`
            written = text[revision.start_mark.index : revision.end_mark.index]
            if written in ("", "~", "null"):
                edits.append((revision.start_mark.index, revision.end_mark.index, commit if written else f" {commit}"))
            continue
        key = next(key for key, value in entry.value if value is path)
        between = ", " if entry.flow_style else "\n" + " " * key.start_mark.column
        end = path.end_mark.index if entry.flow_style else _line_end(text, path.end_mark.index)
        edits.append((end, end, f"{between}revision: {commit}"))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text, done


def _kept_null(values: dict[str, yaml.Node], commits: dict[str, str]) -> str | None:
    """``null`` for an entry that takes over (``<<``) one that is pinned now, and must not take over its commit."""
    parents = values.get("<<")
    for parent in parents.value if isinstance(parents, yaml.SequenceNode) else [parents]:
        if isinstance(parent, yaml.MappingNode):
            keys = {key.value: value for key, value in parent.value}
            if "revision" not in keys and getattr(keys.get("path"), "value", None) in commits:
                return "null"
    return None


def _line_end(text: str, index: int) -> int:
    """End of the line, behind a comment that belongs to the value."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end


def pin(plan: Plan, files: list[Path], ask: Callable[[Repository], str], say: Callable[[str], None] = print) -> None:
    """Write the present commit of every unpinned repository into the files that name it.

    Parameters
    ----------
    files : configuration files and the registry
    ask : the present commit of a repository, as 40 hexadecimal digits; raises where it can't be said

    Raises
    ------
    PinError
        A repository could not be asked for, or no file names it. Then nothing is written.
    """
    wanted = unpinned(plan)
    commits, faults = {}, []
    for repository in wanted:
        try:
            commits[repository.path] = ask(repository)
        except Exception as error:  # all of them are named at once
            faults.append(f"{repository.path}: {' '.join(str(error).split())[:300] or type(error).__name__}")
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    edited = {file: pinned_text(text, commits) for file, text in texts.items()}
    named = set().union(*(done for _, done in edited.values()))
    where = ", ".join(map(str, files)) or "no file (the configuration was given in another way)"
    faults += [f"{path}: named as `path:` in {where}? Write revision: {commits[path]} by hand"
               for path in commits if path not in named]  # fmt: skip
    if faults:
        raise PinError("\n".join([f"nothing was written, {len(faults)} faults:", *(f"  {fault}" for fault in faults)]))
    for file, (text, done) in edited.items():
        if text != texts[file]:
            with atomic_write(file, "w") as out:
                out.write(text)
            for path in sorted(done):
                say(f"{file}: {path} at {commits[path]}")
    if not wanted:
        say("every repository has a revision already")


def hub_commits(token: str | None, endpoint: str | None = None) -> Callable[[Repository], str]:
    """Ask the Hub for the commit of a repository's main branch."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token or False)

    def ask(repository: Repository) -> str:
        return api.repo_info(repository.path, repo_type=repository.kind, timeout=20).sha

    return ask
