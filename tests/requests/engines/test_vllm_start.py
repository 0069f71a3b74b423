"""If memory runs out, vLLM is restarted with less memory, and the last error gives a remedy."""

import os

import pytest

from polypref.requests.engines.vllm_start import remedy, start_in_less_memory

CORE_FAILED = "Engine core initialization failed. See root cause above."


class Start:
    """An engine that fails a few times; on a GPU, the cause is only in the log of its process."""

    def __init__(self, fails, error):
        self.fails, self.error, self.tried = fails, error, []

    def __call__(self, **settings):
        self.tried.append(settings)
        if len(self.tried) <= self.fails:
            raise self.error
        return "engine"


def test_each_retry_uses_less_memory():
    start = Start(2, RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert start_in_less_memory(start, {"gpu_memory_utilization": 0.9, "max_num_seqs": None}) == "engine"
    assert [round(tried["gpu_memory_utilization"], 2) for tried in start.tried] == [0.9, 0.63, 0.44]
    assert [tried["max_num_seqs"] for tried in start.tried] == [None, 179, 125]


def test_the_last_failure_gives_a_remedy():
    settings = {"gpu_memory_utilization": 0.9, "max_num_seqs": 8}
    error = ValueError("Free memory on device (3.1/79.1 GiB) on startup is less than desired GPU memory utilization")
    with pytest.raises(ValueError, match="Free memory"):
        start_in_less_memory(Start(9, error), settings)
    advice = remedy("m", error, settings, gpu=True)
    assert "lower runtime.memory_fraction" in advice and "the last of 3 starts was with memory_fraction 0.44" in advice


@pytest.mark.parametrize("text", [CORE_FAILED, "No available memory for the cache blocks", "no such revision"])
def test_other_errors_are_not_retried(text):
    start = Start(1, RuntimeError(text))
    with pytest.raises(RuntimeError, match=text):
        start_in_less_memory(start, {"gpu_memory_utilization": 0.9})
    assert len(start.tried) == 1


def test_the_cause_is_found_in_the_log_if_the_engine_is_another_process(tmp_path):
    log, kept = open(tmp_path / "log", "wb"), os.dup(2)  # noqa: SIM115
    os.dup2(log.fileno(), 2)
    try:
        os.write(2, b"torch.OutOfMemoryError: CUDA out of memory: of an earlier start\n")

        def start(**settings):
            if settings["gpu_memory_utilization"] > 0.8:
                os.write(2, b"torch.OutOfMemoryError: CUDA out of memory.\n")
                raise RuntimeError(CORE_FAILED)
            return "engine"

        assert start_in_less_memory(start, {"gpu_memory_utilization": 0.9}) == "engine"
        with pytest.raises(RuntimeError, match="Engine core"):
            start_in_less_memory(Start(9, RuntimeError(CORE_FAILED)), {"gpu_memory_utilization": 0.9})
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        log.close()
