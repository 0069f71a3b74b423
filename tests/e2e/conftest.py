"""Fixtures of the end-to-end tests: the miniature, a Slurm cluster, a browser, and a tiny chat model."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from random_models import save_chat_model
from runs import Run, make_miniature, new_run, read_run
from selenium import webdriver
from slurm_cluster import Cluster

CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture
def fresh(tmp_path) -> Run:
    """The miniature before its first run, in its own folder, with data that the test may edit."""
    return new_run(tmp_path)


@pytest.fixture(scope="session")
def miniature(tmp_path_factory, request) -> Run:
    """The finished miniature, which runs once per session; each worker of pytest-xdist has its own copy.

    To save time while working on these tests, set POLYPREF_MINIATURE to the folder of an earlier session's miniature.
    """
    if finished := os.environ.get("POLYPREF_MINIATURE"):
        return read_run(Path(finished))
    temporary = tmp_path_factory.getbasetemp()
    if not hasattr(request.config, "workerinput"):
        return make_miniature(temporary / "miniature")
    first = temporary.parent / "miniature"
    with FileLock(f"{first}.lock"):
        if not first.exists():
            make_miniature(first)
    return read_run(shutil.copytree(first, temporary / "miniature", symlinks=True))


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory) -> str:
    """Path of a chat model with random weights."""
    return save_chat_model(tmp_path_factory.mktemp("models") / "chat")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """A real Slurm cluster for all tests that need one; a test that breaks it starts it again."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    for flag in CHROMIUM_FLAGS:
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_window_size(1400, 1000)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Chromium; its console must have no messages when the test ends."""
    chromium.get("about:blank")
    chromium.get_log("browser")
    yield chromium
    assert chromium.get_log("browser") == []
