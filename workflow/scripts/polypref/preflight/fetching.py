"""Download all data and checkpoints into the Hub's cache, so that the run works with ``HF_HUB_OFFLINE=1``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from polypref.plan.needs import Repository, data_repositories, hub_checkpoints
from polypref.plan.plan import Plan
from polypref.requests.checkpoints import HUB_FILES, HUB_IGNORED, NO_SAFETENSORS
from polypref.requests.engines.conversion import number_format


class FetchError(RuntimeError):
    """One or more repositories could not be fetched; the message lists all of them."""


def fetch(
    plan: Plan,
    load: Callable[..., Any],
    snapshot: Callable[..., str],
    report: Callable[[str], None] = print,
    convert: Callable[..., Any] | None = None,
) -> None:
    """Download every data set and checkpoint that the configuration uses and that is not yet present.

    Checkpoints of the engine ``seq2seq`` are also converted for CTranslate2, so that no job spends GPU time on it.

    Parameters
    ----------
    load : ``datasets.load_dataset``
    snapshot : ``huggingface_hub.snapshot_download``
    convert : :func:`polypref.requests.engines.conversion.convert`; by default nothing is converted

    Raises
    ------
    FetchError
        One or more repositories could not be fetched; the message gives the reasons. The others were fetched.
    """
    faults = []
    for repository in data_repositories(plan):
        for part, split in repository.parts:
            report(f"data set {repository.path}{f' ({part})' if part else ''}")
            try:
                load(repository.path, part, split=split, revision=repository.revision)
            except Exception as error:  # a fault of one data set must not prevent fetching the others
                faults.append(_fault(repository, error))
                break
    done = set()
    for name, checkpoint in hub_checkpoints(plan).items():
        repository = Repository("model", checkpoint.path, checkpoint.revision, checkpoint.gated)
        if (checkpoint.path, checkpoint.revision) in done:
            continue
        done.add((checkpoint.path, checkpoint.revision))
        report(f"checkpoint {name}: {checkpoint.path} at {checkpoint.revision or 'main'}")
        try:
            folder = Path(
                snapshot(
                    checkpoint.path,
                    revision=checkpoint.revision,
                    allow_patterns=list(HUB_FILES),
                    ignore_patterns=list(HUB_IGNORED),
                )
            )
        except Exception as error:
            faults.append(_fault(repository, error))
            continue
        if next(folder.glob("*.safetensors"), None) is None:
            faults.append(
                f"{checkpoint.path}: has no *.safetensors at {checkpoint.revision or 'main'}. {NO_SAFETENSORS}"
            )
        elif convert and checkpoint.engine == "seq2seq" and checkpoint.revision:
            report(f"checkpoint {name}: converting it for CTranslate2")
            try:
                kind = number_format(checkpoint)
                convert(checkpoint.path, checkpoint.revision, kind, checkpoint.trust_remote_code)
            except Exception as error:
                faults.append(_fault(repository, error))
    if faults:
        raise FetchError("\n".join([f"{len(faults)} repositories could not be fetched:", *(f"  {f}" for f in faults)]))


def _fault(repository: Repository, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{repository.path}: {reason}{f' (gated: {repository.page})' if repository.gated else ''}"
