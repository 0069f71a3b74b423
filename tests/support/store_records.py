"""Completions for tests of the row store, and a row store filled with them."""

from polypref.requests.row_store import RowStore


def record(key: str, text: str = "x", **more) -> dict:
    row = {"request_id": key, "text": text, "finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 2}
    return {**row, "logprobs": None, "cost_usd": 0.5, "error": None, **more}


def fill(folder, keys, messages=None, **options):
    with RowStore(folder, report=(messages if messages is not None else []).append, **options) as store:
        for key in keys:
            store.add(record(key, f"text of {key}"))
