"""Generate the configuration's reference, ``config/README.md``, and its JSON schema from the pydantic models.

``python -m polypref.config.reference FOLDER`` writes both files (``make schema``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from polypref.config.sections import json_schema

_HEAD = """# Configuration

`config.yaml` is the published experiment, and `demo.yaml` is the same experiment in miniature. Pass your own file with
`--configfile`. `make schema` generates this page and `schema.json` from the code. Editors that support the
[YAML language server](https://github.com/redhat-developer/yaml-language-server) complete and check a file that begins
with `# yaml-language-server: $schema=schema.json`.

Relative paths are resolved in the working directory first, then in the workflow's folder. Options under `runtime:` do
not change results, so changing them does not make any file stale.
"""


def reference() -> str:
    """The reference as Markdown: one table per section, in the order of their first use."""
    schema = json_schema()
    parts, todo, seen = [_HEAD], [("The file", schema)], set()
    while todo:
        title, section = todo.pop(0)
        rows = [_row(name, field, name in section.get("required", [])) for name, field in section["properties"].items()]
        doc = (section.get("description") or "").strip()
        parts.append(
            f"## {title}\n\n{doc}\n\n| key | value | default | description |\n|---|---|---|---|\n" + "\n".join(rows)
        )
        for field in section["properties"].values():
            for name in _sections(field):
                if name not in seen:
                    seen.add(name)
                    todo.append((name, schema["$defs"][name]))
    return "\n\n".join(parts).replace("\n\n\n\n", "\n\n") + "\n"


def _sections(field: Any) -> list[str]:
    """Names of the sections that a field contains."""
    if isinstance(field, dict):
        own = [field["$ref"].rsplit("/", 1)[1]] if "$ref" in field else []
        return own + [name for value in field.values() for name in _sections(value)]
    return [name for value in field for name in _sections(value)] if isinstance(field, list) else []


def _row(name: str, field: dict[str, Any], required: bool) -> str:
    default = "*required*" if required else _default(field)
    return f"| `{name}` | {_kind(field)} | {default} | {_cell(field.get('description', ''))} |"


def _default(field: dict[str, Any]) -> str:
    if "default" not in field or isinstance(field["default"], dict):
        return ""
    return f"`{_cell(json.dumps(field['default'], ensure_ascii=False))}`"


def _kind(field: dict[str, Any] | bool) -> str:
    if field is True:  # JSON schema: no constraint
        return "any value"
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(option) for option in field["anyOf"]))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type", "")
    if kind == "array":
        return f"list of {_kind(field.get('items', {}))}"
    if kind == "object":
        values = [*field.get("patternProperties", {}).values(), field.get("additionalProperties", {})]
        return f"names to {_kind(values[0])}"
    names = {"string": "text", "integer": "whole number", "boolean": "true, false", "null": "null"}
    return names.get(kind, kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "schema.json").write_text(
        json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "README.md").write_text(reference(), encoding="utf-8")
