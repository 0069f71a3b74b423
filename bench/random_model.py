"""Models of any size with the architecture of a Llama but without weights, and prompts of any number of tokens."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

SPECIAL = ("<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "A", "B", "TIE")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ ' <|' + message['role'] + '|> ' + message['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}{{ ' <|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """Dimensions of a Llama."""

    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int

    @property
    def head(self) -> int:
        return self.width // self.heads

    @property
    def parameters(self) -> int:
        """Number of weights in all matrices; input and output embeddings are not tied."""
        attention = 2 * self.width * self.width + 2 * self.width * self.head * self.kv_heads
        return self.layers * (attention + 3 * self.width * self.inner) + 2 * self.vocabulary * self.width

    @property
    def cache_bytes(self) -> int:
        """Bytes of the keys and values of one token in bfloat16."""
        return 2 * self.layers * self.kv_heads * self.head * 2


def write_model(folder: Path, shape: Shape) -> None:
    """Write config.json and a tokenizer with one token per word, so that a prompt has as many tokens as words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True)
    known = [*SPECIAL, *(f"w{n}" for n in range(shape.vocabulary - len(SPECIAL)))]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    files = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "chat_template": TEMPLATE,
        },
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": shape.width,
            "intermediate_size": shape.inner,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.head,
            "vocab_size": shape.vocabulary,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0,
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "dtype": "bfloat16",
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


def words(count: int, length: int, known: int = 900, seed: int = 1) -> list[str]:
    """Return random texts of ``length`` words, each of which is one token."""
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(known)}" for _ in range(length)) for _ in range(count)]
