"""The OpenAI engine against vLLM's own OpenAI server, which serves a tiny model with random weights."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from random_models import chat_request, complete

from polypref.config.sections import Checkpoint
from polypref.requests.engines import EngineError

os.environ["HF_HUB_OFFLINE"] = "1"


def test_the_openai_engine_against_vllms_server(chat_model, monkeypatch):
    from polypref.requests.engines.openai import open_engine

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", chat_model,
        "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
        "--enforce-eager", "--max-num-seqs", "8", "--api-key", "local-key",
    ]  # fmt: skip
    env = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING", "TORCHDYNAMO_DISABLE": "1"}
    env.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0)
    try:
        for _ in range(600):
            assert server.poll() is None, server.stderr.read().decode()[-3000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        base_url = f"http://127.0.0.1:{port}/v1"
        checkpoint = Checkpoint(engine="openai", path="tiny", base_url=base_url, api_key_env="LOCAL_KEY")
        monkeypatch.setenv("LOCAL_KEY", "local-key")
        client = open_engine(checkpoint, "tiny", None)
        got = complete(
            client, [*(chat_request(f"r{i}", f"fox {i}") for i in range(20)), chat_request("long", "zq" * 400)]
        )
        assert got["long"].permanent
        assert "HTTP 400" in got["long"].error
        assert all(got[f"r{i}"].finish_reason in ("stop", "length") for i in range(20))
        assert all(got[f"r{i}"].prompt_tokens > 3 and got[f"r{i}"].completion_tokens <= 24 for i in range(20))
        client.close()
        monkeypatch.setenv("LOCAL_KEY", "wrong")
        client = open_engine(checkpoint, "tiny", None)
        with pytest.raises(EngineError, match="LOCAL_KEY is rejected"):
            list(client.complete([chat_request("r", "fox")]))
        client.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)
        server.stderr.close()
