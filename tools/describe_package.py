"""Generate the opening of docs/architecture.md: the subpackages with their imports, rules, scripts and tests.

The order of the subpackages is read from the table in that file. Everything else is read from the code: descriptions
from the docstrings, arrows from the imports, and rules and scripts from the rule files. ``make architecture`` runs it.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workflow/scripts/polypref"
PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- written by `make architecture` -->\n", "<!-- end -->\n"
# rule files without a subpackage: helpers shared by all rules, and the choice of where they run
SHARED = {"internals", "common", "cluster"}


def package_order(page: str) -> list[str]:
    """Return the subpackages in the order of the table."""
    return re.findall(r"^\| `(\w+)` \|", page.split(BEGIN)[1].split(END)[0], re.MULTILINE)


def owner(path: Path) -> str:
    """Return the subpackage of a file; a top-level module counts as a subpackage."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports() -> dict[tuple[str, str], list[str]]:
    """Return the imports between subpackages as (importing, imported) -> places, each ``file:line``."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = (
                    [f"{node.module}.{alias.name}" for alias in node.names]
                    if node.module == "polypref"
                    else [node.module]
                )
                if node.level:
                    raise ValueError(f"{path}:{node.lineno}: a relative import; write the module's full name")
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                parts = str(name).split(".")
                if parts[0] == "polypref" and len(parts) > 1 and parts[1] not in (owner(path), "__version__"):
                    found.setdefault((owner(path), parts[1]), []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def arrows(edges: set[tuple[str, str]], order: list[str]) -> list[tuple[str, str]]:
    """Return the transitive reduction: the edges that no longer path implies, in the given order."""
    nodes = {name: {b for a, b in edges if a == name} for name in order}

    def reached(name: str) -> set[str]:
        return nodes[name].union(*(reached(other) for other in nodes[name])) if nodes[name] else set()

    kept = [(a, b) for a, b in edges if not any(b in reached(other) for other in nodes[a] - {b})]
    return sorted(kept, key=lambda edge: (order.index(edge[1]), order.index(edge[0])))


def rule_files() -> dict[str, tuple[str, list[str]]]:
    """Map each rule file to its scripts and to the subpackage of its name, or the first with a module of its name."""
    found = {}
    order = package_order(PAGE.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "rules").glob("*.smk")):
        if path.stem in SHARED:
            continue
        places = [
            name for name in order if name == path.stem or (PACKAGE / name / path.name).with_suffix(".py").is_file()
        ]
        if not places:
            raise ValueError(f"rules/{path.name}: no subpackage and no module has this name")
        scripts = re.findall(r'"\.\./workflow/scripts/(\w+)\.py"', path.read_text(encoding="utf-8"))
        found[path.name] = (path.stem if path.stem in places else places[0], sorted(set(scripts)))
    return found


def description(name: str) -> str:
    """Return the first sentence of a subpackage's docstring."""
    path = PACKAGE / name / "__init__.py" if (PACKAGE / name).is_dir() else PACKAGE / f"{name}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def opening(order: list[str]) -> str:
    """Return the section between the two markers, as Markdown."""
    edges = {edge for edge in imports() if edge[1] in order and edge[0] in order}
    lines = ["```mermaid", "flowchart LR", *(f"    {b} --> {a}" for a, b in arrows(edges, order)), "```", ""]
    lines += ["| subpackage | what it does | rules | scripts | tests |", "|---|---|---|---|---|"]
    for name in order:
        rules = [(file, scripts) for file, (place, scripts) in rule_files().items() if place == name]
        tests = ROOT / "tests" / name
        where = f"`tests/{name}/`" if tests.is_dir() else f"`tests/test_{name}.py`"
        cells = [
            ", ".join(f"`{file}`" for file, _ in rules),
            ", ".join(f"`{script}`" for script in sorted({script for _, scripts in rules for script in scripts})),
            where,
        ]
        lines.append(f"| `{name}` | {description(name)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}{opening(package_order(page))}{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
