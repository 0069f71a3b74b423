"""Tiny models with random weights for the engines: a chat model and a translation model, with their requests."""

import json

from polypref.config.sections import Checkpoint
from polypref.requests.engines import Request

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('no system role') }}{% endif %}<|{{ m['role'] }}|>{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CODES = ["eng_Latn", "deu_Latn", "jpn_Jpan"]
WORDS = "the quick brown fox jumps over lazy dog der schnelle braune fuchs springt über den faulen hund".split()  # noqa: SIM905


END = 1
"""Id of the chat model's end token."""


def save_chat_model(folder, template=CHAT_TEMPLATE, positions=256, heads=2, ends=1.6):
    """Save a random Llama of two layers with a byte-level BPE of 400 tokens, and two heads of keys and values.

    The larger ``ends`` is, the sooner an answer ends; with the default, most answers end after a few tokens.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(["the quick brown fox jumps over the lazy dog"] * 10, trainer)
    # Adds a BOS, as Llama's tokenizer does, so that a test sees it if a prompt gets a second one beside the template's.
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    if template:
        tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=heads, num_key_value_heads=2, max_position_embeddings=positions, bos_token_id=0,
        eos_token_id=END, initializer_range=0.2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[END] *= ends
    model.save_pretrained(folder)
    return str(folder)


def chat_checkpoint(path, **changes):
    """Return the registry entry of a chat model."""
    runtime = {"max_num_seqs": 16, "kv_cache_gb": 0.25, "threads": 2, **changes.pop("runtime", {})}
    return Checkpoint(engine="vllm", path=path, dtype="float32", runtime=runtime, **changes)


def chat_request(name, content, **decoding):
    """Return a request with one user turn."""
    messages = [{"role": "user", "content": content}]
    return Request(name, messages, {"max_tokens": 24, "temperature": 0.0, **decoding})


def save_translator(folder):
    """Save a random NLLB of two layers; its tokenizer has one piece per word, and three languages."""
    import torch
    from tokenizers import Tokenizer, models, trainers
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    bpe.train_from_iterator([f"▁{word}" for word in WORDS] * 3, trainer)
    inner = json.loads(bpe.to_str())["model"]
    tokenizer = NllbTokenizer(
        vocab=inner["vocab"], merges=[tuple(pair) for pair in inner["merges"]], extra_special_tokens=CODES,
        src_lang=CODES[0], model_max_length=40,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=128, decoder_ffn_dim=128, max_position_embeddings=40, init_std=0.3,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


def translation_request(name, text, target="deu_Latn", source="eng_Latn", **decoding):
    """Return a request to translate a text."""
    decoding = {"max_tokens": 16, "temperature": 0.0, "source_code": source, "target_code": target, **decoding}
    return Request(name, [{"role": "user", "content": text}], decoding)


def complete(engine, requests):
    """Complete requests and return the completions by request id; every request must have exactly one."""
    completions = list(engine.complete(requests))
    assert sorted(c.request_id for c in completions) == sorted(r.request_id for r in requests)
    return {c.request_id: c for c in completions}
