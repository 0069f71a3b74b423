"""Benchmarks of beam search: other best beams are explained, lengths are exact, and a card has limits."""

import subprocess
import sys
from pathlib import Path

import pytest
from random_models import END, save_chat_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_chat_model(tmp_path_factory.mktemp("models") / "llama")


def test_other_best_beams_are_explained(path):
    """`generate` in float64 finds the text of one side, and scores are mean log-probabilities."""
    import torch
    from beam_differences import differences, score
    from beam_sides import generated
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float64)
    prompts = [[0, 5, 6, 7], [0, 8, 9]]
    best = generated(model, AutoTokenizer.from_pretrained(path), prompts, 6)
    assert differences(path, prompts, best, best, 6) == []
    other = [best[0], [*best[1][:1], 44, 45]]
    for ours, theirs, found in ((other, best, "generate's"), (best, other, "complete's")):
        ((number, first, second, gap, exact),) = differences(path, prompts, ours, theirs, 6)
        assert number == 1 and exact == found and float(gap) == pytest.approx(float(first) - float(second), rel=0.05)
    with torch.no_grad():
        steps = [
            model(torch.tensor([prompts[1] + best[1][:n]])).logits[0, -1].log_softmax(-1) for n in range(len(best[1]))
        ]
    expected = sum(step[token].item() for step, token in zip(steps, best[1], strict=True)) / len(steps)
    assert score(model, prompts[1], best[1]) == pytest.approx(expected)


@pytest.mark.e2e  # seconds of computing
def test_complete_and_generate_find_the_same_texts(tmp_path):
    """Two of the sides of the benchmark, on a model of the miniature."""
    from beam_sides import SIDES

    model, prompts = str(ROOT / "resources/demo/models/strong"), ["Translate: the dog sees the house", "the cat"]
    found = []
    for name in ("complete", "generate"):
        (tmp_path / name).mkdir()
        found.append(SIDES[name](model, prompts, 8, 1, tmp_path / name)()[0])
    assert found[0] == found[1] and len(found[0]) == 2


def test_the_tokens_of_an_engine_are_recorded(path):
    from beam_sides import record_tokens
    from random_models import chat_request, complete

    from polypref.config.sections import Checkpoint
    from polypref.requests.engines.transformers import open_engine

    engine = open_engine(Checkpoint(engine="vllm", path=path, dtype="float32"), path, None)
    kept = record_tokens(engine)
    requests = [chat_request(str(n), f"the fox {n}", beam_size=3, max_tokens=9) for n in range(4)]
    for name, done in complete(engine, requests).items():
        assert len(kept[name]) == done.completion_tokens and (kept[name][-1] == END) == (done.finish_reason == "stop")
    assert record_tokens(object()) == {}


def test_searches_end_at_their_lengths(path):
    import beam_lengths

    from polypref.config.sections import Checkpoint
    from polypref.requests.engines.transformers import open_engine

    lengths = beam_lengths.lengths_of(6, 40)
    assert sorted(lengths) == [5, 8, 11, 17, 26, 40]
    assert beam_lengths.padded([1] * 15 + [9, 4]) == 16 * 9 + 4
    engine = open_engine(Checkpoint(engine="vllm", path=path, dtype="float32"), path, None)
    beam_lengths.end_at_lengths(engine)
    found = beam_lengths.answered(engine, lengths, ["fox"] * 6, 40)  # stops if an output has another length
    assert len(found) == 6 and max(found, key=found.get) == lengths.index(40)


def test_the_scripts_of_another_commit_are_extracted(tmp_path):
    import bench_beam

    if subprocess.run(["git", "cat-file", "-e", bench_beam.OLD], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("this copy has no history")
    scripts = bench_beam.scripts_of(bench_beam.OLD, tmp_path)
    assert not (scripts / "polypref/requests/engines/transformers.py").exists()
    assert (scripts / "polypref/requests/engines/beam.py").is_file()
    assert bench_beam.scripts_of("0" * 40, tmp_path) is None


def test_the_memory_limit_counts_every_beam():
    from bench_gpu import Card
    from gpu_beam import WIDTH, cells
    from random_model import Shape

    shape, card = Shape(width=8, inner=16, layers=2, heads=4, kv_heads=2, vocabulary=10), Card("", 1e6, 1e6)
    figures = (4, 2 * WIDTH, 4 * 6, 1.0)  # four prompts, two at a time, six tokens each
    weights = shape.parameters - shape.vocabulary * shape.width
    cache = 4 * WIDTH * (6 * 100 + 18) * shape.cache_bytes
    expected = f"{(2 * 6 * 2 * weights + cache) / 1e6:.0%}"
    assert cells("complete, 5 beams", figures, shape, card) == ["complete, 5 beams", "4", "10", "24", "120", expected]


@pytest.mark.e2e
def test_the_script_for_a_gpu_runs_on_a_cpu():
    command = [sys.executable, str(ROOT / "bench/gpu_beam.py"), "--dry-device"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")]
    assert rows == ["side", "---", "complete, 5 beams", "generate, 5 beams", "vLLM, greedy"], done.stdout
