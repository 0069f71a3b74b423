"""The generation task with Bespoke Curator: an LLM block over a data set of prompts, with a cache in a folder."""

import sys

from bespokelabs import curator
from datasets import load_dataset


class Reply(curator.LLM):
    """Replies to prompts."""

    def prompt(self, row: dict) -> str:
        return row["instruction"]

    def parse(self, row: dict, response: str) -> dict:
        return {"instruction": row["instruction"], "generation": response}


if __name__ == "__main__":
    prompts, output, folder, base_url, max_tokens, concurrency = sys.argv[1:]
    rows = load_dataset("json", data_files=prompts, split="train", cache_dir=f"{folder}/datasets")
    unlimited = {"max_requests_per_minute": 10**6, "max_tokens_per_minute": 10**9}
    same = {"invalid_finish_reasons": ["content_filter"]}  # keep truncated answers, as the other two clients do
    reply = Reply(
        model_name="hosted_vllm/tiny", backend="litellm",  # its openai backend downloads a tokenizer from another host
        generation_params={"max_tokens": int(max_tokens), "temperature": 0.0},
        backend_params={
            "base_url": base_url, "api_key": "none", "max_concurrent_requests": int(concurrency), **unlimited, **same,
        },
    )  # fmt: skip
    replies = reply(rows, working_dir=folder)
    getattr(replies, "dataset", replies).to_parquet(output)
