"""The generation task with distilabel: a pipeline with one TextGeneration step, with a cache in a folder."""

import json
import sys
from pathlib import Path

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

if __name__ == "__main__":
    prompts, output, folder, base_url, max_tokens, concurrency = sys.argv[1:]
    rows = [json.loads(line) for line in Path(prompts).read_text(encoding="utf-8").splitlines()]
    with Pipeline(name="bench", cache_dir=folder) as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=int(concurrency))
        llm = OpenAILLM(
            model="tiny", base_url=base_url, api_key="none",
            generation_kwargs={"max_new_tokens": int(max_tokens), "temperature": 0.0},
        )  # fmt: skip
        load >> TextGeneration(llm=llm, input_batch_size=int(concurrency))
    replies = pipeline.run(use_cache=True)
    replies["default"]["train"].to_parquet(output)
