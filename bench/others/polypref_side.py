"""The generation task with polypref: requests from a file of prompts, completed by the openai engine, to Parquet."""

import json
import os
import sys
from pathlib import Path

from polypref.config.registry import Runtime
from polypref.config.sections import Checkpoint
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.requests.asking import RequestSettings
from polypref.requests.complete import complete
from polypref.requests.generate import ask_responses

if __name__ == "__main__":
    prompts, output, folder, base_url, max_tokens, concurrency = sys.argv[1:]
    os.environ["OPENAI_API_KEY"] = "none"
    lines = Path(prompts).read_text(encoding="utf-8").splitlines()
    items = [{"item_id": str(n), "prompt": json.loads(line)["instruction"]} for n, line in enumerate(lines)]
    model = RequestSettings("tiny", "tiny", None, False, {"temperature": 0.0, "max_tokens": int(max_tokens)})
    requests = Path(folder) / "requests.parquet"
    write_table(requests, ask_responses(items, model, "en"), REQUESTS)
    runtime = Runtime(concurrency=int(concurrency))
    checkpoint = Checkpoint(engine="openai", path="tiny", base_url=base_url, runtime=runtime)
    complete([str(requests)], Path(folder) / "store", checkpoint, Path(output))
