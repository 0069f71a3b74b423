"""Names of vLLM (0.29) that are not public API, all in one place.

docs/private-apis.md lists them; ``tests/e2e/test_vllm_engine.py`` fails when one of them moves or behaves differently.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

IMPORTED_AT_START = (
    "vllm.entrypoints.llm",
    "vllm.entrypoints.launchers.cli_args",
    "vllm.v1.attention.backends.cpu_attn",
    "vllm.v1.core.sched.scheduler",
    "vllm.v1.worker.cpu_worker",
)
"""Modules that ``vllm.LLM`` imports on a CPU before it loads a model."""


class ChatRenderer:
    """Renders chat messages to the token ids that ``LLM.chat`` would send to the engine.

    The limit on prompt tokens is lifted, so that an error message can state how long a prompt is.
    """

    def __init__(self, llm: Any, chat_template: str | None):
        from vllm.renderers import ChatParams
        from vllm.utils.mistral import is_mistral_tokenizer

        options = {
            "add_generation_prompt": True,
            "continue_final_message": False,
            "tools": None,
            "tokenize": is_mistral_tokenizer(llm.get_tokenizer()),
        }
        self._renderer = llm.renderer
        self._chat_params = {
            True: ChatParams(chat_template=chat_template, chat_template_kwargs=options),
            False: ChatParams(chat_template=chat_template, chat_template_kwargs={**options, "enable_thinking": False}),
        }
        self._token_params = replace(llm.renderer.default_chat_tok_params, max_total_tokens=None)

    def render(self, messages: list[dict[str, str]], thinking: bool = True) -> Any:
        """Return the engine input of a conversation; raise ValueError if the template refuses it."""
        _, (prompt,) = self._renderer.render_chat([messages], self._chat_params[thinking], self._token_params)
        return prompt


def model_context(settings: dict[str, Any]) -> int:
    """Return the context in tokens of the model that ``LLM(**settings)`` would load, before any limit."""
    from vllm.engine.arg_utils import EngineArgs

    return EngineArgs(**settings).create_model_config().max_model_len


def max_running(llm: Any) -> int:
    """Return the number of requests that the scheduler runs at the same time."""
    return llm.llm_engine.vllm_config.scheduler_config.max_num_seqs


def shut_down(llm: Any) -> None:
    """Stop the engine and free the device; ``LLM`` has no method for it."""
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory
    from vllm.platforms import current_platform

    llm.llm_engine.engine_core.shutdown()
    if not current_platform.is_cpu():  # an engine in this process has cleaned up already
        cleanup_dist_env_and_memory()
