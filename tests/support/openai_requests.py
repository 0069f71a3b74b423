"""Requests to the OpenAI engine, and the key that it sends."""

from polypref.requests.engines import Completion, Request

KEY = "sk-test-0123456789abcdef"


def ask(name: str = "r", content: str = "hi", **decoding) -> Request:
    return Request(name, [{"role": "user", "content": content}], {"max_tokens": 20, "temperature": 0.0, **decoding})


def one(engine, **decoding) -> Completion:
    (completion,) = engine.complete([ask(**decoding)])
    return completion
