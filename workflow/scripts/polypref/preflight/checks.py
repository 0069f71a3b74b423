"""Preflight: find in seconds, and list together, the problems that would otherwise stop a run after hours.

Each check yields findings (:mod:`polypref.preflight.findings`). Checks only test whether secrets are set, and never
show them.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from polypref.plan.needs import (
    Repository,
    api_keys,
    conversion_bytes,
    conversion_memory,
    hub_checkpoints,
    nothing_outside,
    repositories,
    training_bytes,
    weight_bytes,
)
from polypref.plan.plan import Plan
from polypref.preflight.findings import Finding
from polypref.preflight.gpu_memory import GB, Content, context_of
from polypref.preflight.gpu_packages import check_gpu_packages
from polypref.preflight.gpus import check_gpus, read_config, read_gpus
from polypref.preflight.pinning import unpinned
from polypref.preflight.searched_types import check_searched_types
from polypref.preflight.templates import check_templates
from polypref.requests.checkpoints import NO_SAFETENSORS
from polypref.requests.engines.conversion import converted_checkpoints, converted_folder

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables that put huggingface_hub into offline mode."""
HUB_SECONDS = 15.0
"""Timeout for all requests to the Hub together."""


def check_keys(plan: Plan, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check that the API keys are set."""
    for variable, names in api_keys(plan).items():
        used = f"{variable} (for {', '.join(names)})"
        if environ.get(variable):
            yield Finding("ok", f"{used} is set")
        else:
            yield Finding("error", f"{used} is not set: export it where Snakemake and its jobs run")


def check_token(found: list[Repository], token: str | None) -> Iterator[Finding]:
    """Check that there is a Hugging Face token if a gated repository is used."""
    gated = [repository.path for repository in found if repository.gated]
    if gated and not token:
        yield Finding(
            "error",
            f"no Hugging Face token, and {len(gated)} repositories are gated ({', '.join(gated)}): create one "
            "at https://huggingface.co/settings/tokens and export it as HF_TOKEN",
        )
    elif gated:
        yield Finding("ok", "a Hugging Face token is available")


def check_fetched(found: list[Repository], cache: Path) -> Iterator[Finding]:
    """Check that all repositories are in the Hub's cache, for offline runs (``HF_HUB_OFFLINE``)."""
    missing = []
    for repository in found:
        folder = cache / f"{repository.kind}s--{repository.path.replace('/', '--')}"
        wanted = folder / "snapshots" / repository.revision if repository.revision else folder / "snapshots"
        if not wanted.is_dir() or not any(wanted.iterdir()):
            missing.append(f"{repository.path}{f' at {repository.revision[:12]}' if repository.revision else ''}")
    if missing:
        yield Finding(
            "error",
            f"HF_HUB_OFFLINE is set, and {len(missing)} of {len(found)} repositories are not in {cache}: "
            f"{', '.join(missing)}. Run `snakemake fetch` on a machine with a network",
        )
    elif found:
        yield Finding("ok", f"all {len(found)} repositories are in {cache}")


def check_hub(
    found: list[Repository], ask: Callable[[Repository], str | None], seconds: float = HUB_SECONDS
) -> Iterator[Finding]:
    """Check that every repository is readable with this token, with one thread per repository.

    ``ask`` returns None if a repository is readable, else the problem. It raises if the check itself fails, for
    example without a network.
    """
    answers: queue.SimpleQueue[tuple[Repository, str | None, Exception | None]] = queue.SimpleQueue()

    def run(repository: Repository) -> None:
        try:
            answers.put((repository, ask(repository), None))
        except Exception as error:  # a network error must not stop the other checks
            answers.put((repository, None, error))

    for repository in found:
        threading.Thread(target=run, args=(repository,), daemon=True).start()
    deadline, waiting, reasons = time.monotonic() + seconds, set(found), set()
    for _ in found:
        try:
            repository, fault, error = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            reasons.add(f"no answer within {seconds:g} s")
            break
        if error is not None:
            reasons.add(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}")
            continue
        waiting.discard(repository)
        if fault:
            yield Finding("error", f"{repository.path}: {fault}")
    if waiting:
        gated = sum(repository.gated for repository in waiting)
        which = f"{len(waiting)} of {len(found)} repositories on the Hub ({gated} of them gated)"
        yield Finding("unchecked", f"{which}: {'; '.join(sorted(reasons))}")
    if len(waiting) < len(found):
        yield Finding("ok", f"the Hub answered for {len(found) - len(waiting)} of {len(found)} repositories")


def hub_reader(token: str | None, endpoint: str | None = None) -> Callable[[Repository], str | None]:
    """Return a function that checks whether a repository is readable with a token; its problems name a web page."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    api = HfApi(endpoint=endpoint, token=token or False)

    def ask(repository: Repository) -> str | None:
        try:
            api.auth_check(repository.path, repo_type=repository.kind)
            found = api.repo_info(repository.path, repo_type=repository.kind, revision=repository.revision)
        except GatedRepoError:
            return f"gated, and this token has no access: request access at {repository.page}"
        except RevisionNotFoundError:
            return f"has no revision {repository.revision}: see {repository.page}/commits/main"
        except RepositoryNotFoundError:
            return f"does not exist, or this token has no access: see {repository.page}"
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code in (401, 403):
                return f"access denied (HTTP {error.response.status_code}): check the token, and see {repository.page}"
            raise
        files = [file.rfilename for file in found.siblings or ()]
        if repository.kind == "model" and not any(file.endswith(".safetensors") for file in files):
            return f"has no *.safetensors at {repository.revision or 'main'}. {NO_SAFETENSORS}"
        return None

    return ask


def check_revisions(plan: Plan) -> Iterator[Finding]:
    """Check that every repository is pinned to a commit."""
    loose = [repository.path for repository in unpinned(plan)]
    if loose:
        which = f"{len(loose)} repositories have no revision, so a later run may read other data: {', '.join(loose)}"
        yield Finding("warning", f"{which}. `snakemake pin` writes their current commits into the configuration")


def check_disk(plan: Plan, cache: Path, results: Path) -> Iterator[Finding]:
    """Check the disk space for weights that were not fetched yet, converted checkpoints and training."""
    absent = [
        weight_bytes(checkpoint)
        for checkpoint in {c.path: c for c in hub_checkpoints(plan).values()}.values()
        if not (cache / f"models--{checkpoint.path.replace('/', '--')}").is_dir()
    ]
    converted = converted_checkpoints()
    needs: dict[int, list[Any]] = {}
    for path, size, what in (
        (cache, sum(size or 0 for size in absent), f"{len(absent)} checkpoints to fetch"),
        (converted, conversion_bytes(plan), "checkpoints converted for CTranslate2"),
        (results, training_bytes(plan) or 0, "trained models and their resumable checkpoints"),
    ):
        place = next(folder for folder in [path.absolute(), *path.absolute().parents] if folder.exists())
        entry = needs.setdefault(place.stat().st_dev, [place, 0.0, []])
        entry[1] += size
        entry[2] += [f"{what} ({size / GB:,.0f} GB)"] if size else []
    for place, size, parts in needs.values():
        free = shutil.disk_usage(place).free
        text = f"{free / GB:,.0f} GB are free at {place}, and about {size / GB:,.0f} GB are needed: {', '.join(parts)}"
        if size:
            yield Finding("error" if free < size else "ok", text)


def check_conversions(plan: Plan) -> Iterator[Finding]:
    """Check that a job has enough main memory to convert its checkpoint for CTranslate2, unless that is done."""
    for name, need in conversion_memory(plan).items():
        checkpoint = plan.config.checkpoints[name]
        memory, revision = checkpoint.runtime.of_node("memory_gb"), checkpoint.revision
        if revision and any(converted_checkpoints().glob(converted_folder(checkpoint.path, revision, "*").name)):
            continue
        if need / GB > memory:
            yield Finding(
                "warning",
                f"{name}: converting it for CTranslate2 needs up to {need / GB:,.0f} GB of main memory, and its job "
                f"requests {memory:,.0f} GB: raise runtime.memory_gb, or convert it beforehand with `snakemake fetch`",
            )


def check_context(
    plan: Plan,
    longest: Mapping[tuple[str, str], tuple[int, int]],
    read: Callable[[str, str | None], Content | None] = read_config,
) -> Iterator[Finding]:
    """Check that the longest request of each batch, {batch: (prompt, answer) tokens}, fits the model's context."""
    unknown, tight = [], []
    for (task, name), (prompt, answer) in sorted(longest.items()):
        checkpoint = plan.config.checkpoints[plan.batch_checkpoint(task, name)]
        if checkpoint.engine == "openai":
            continue
        context = checkpoint.runtime.max_model_len or context_of(read(checkpoint.path, checkpoint.revision))
        if context is None:
            unknown.append(f"{task}/{name}")
        elif prompt >= context:
            yield Finding(
                "error", f"{task}/{name}: a prompt of about {prompt:,} tokens exceeds the context of {context:,}"
            )
        elif prompt + answer > context:
            tight.append(f"{task}/{name} (about {prompt:,} + {answer:,} in {context:,})")
    if tight:
        yield Finding(
            "warning",
            f"the longest prompt and an answer of maximum length exceed the context: {', '.join(tight)}. A truncated "
            "answer has finish_reason `length`, or is an error if runtime.max_model_len is the limit",
        )
    if unknown:
        yield Finding("unchecked", f"context length: no config.json is available yet for {', '.join(unknown)}")


def preflight(
    plan: Plan,
    environ: Mapping[str, str],
    token: str | None,
    cache: Path,
    here: bool,
    longest: Mapping[tuple[str, str], tuple[int, int]],
    endpoint: str | None = None,
    gpus: Callable[[], list[float] | None] = read_gpus,
    packages: Callable[[Plan, bool], Iterable[Finding]] = check_gpu_packages,
) -> list[Finding]:
    """Run all checks, or only those of local checkpoints if a run needs nothing external, like the miniature."""
    if nothing_outside(plan):
        local = Finding("ok", "all data and models are local, and no job requests a GPU")
        return [local, *check_searched_types(plan), *check_templates(plan)]
    found = repositories(plan)
    if any(environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in OFFLINE):
        hub = list(check_fetched(found, cache))
    else:
        hub = [*check_token(found, token), *check_hub(found, hub_reader(token, endpoint))]
    return [
        *check_keys(plan, environ),
        *hub,
        *check_revisions(plan),
        *check_gpus(plan, gpus() if here else None, here, longest),
        *packages(plan, here),
        *check_disk(plan, cache, Path(plan.config.results)),
        *check_conversions(plan),
        *check_context(plan, longest),
        *check_searched_types(plan),
        *check_templates(plan),
    ]
