"""The OpenAI engine with a real HTTP server on loopback."""

import threading

import pytest
from model_server import Server
from openai_requests import KEY

from polypref.config.sections import Checkpoint
from polypref.requests.engines import openai as engine_module
from polypref.requests.engines.openai import open_engine


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(engine_module, "BACKOFF_S", 0.02)
    opened = []

    def start(script, **changes):
        server = Server(script)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        runtime = {"concurrency": 4, "max_retries": 3, "timeout_s": 5, **changes.pop("runtime", {})}
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        engine = open_engine(Checkpoint(engine="openai", path="m", base_url=url, runtime=runtime, **changes), "m", None)
        opened.append((server, engine))
        return server, engine

    yield start
    for server, engine in opened:
        engine.close()
        server.shutdown()
        server.server_close()
