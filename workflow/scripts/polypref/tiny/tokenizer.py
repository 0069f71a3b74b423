"""The tokenizer of the tiny decoder models: one token per word of the world, and bytes for all other text.

Any Unicode text can be encoded and decoded without loss: a word of the world is one token (with the space before it, if
there is one; in Chinese and Japanese also within a run of characters), an ASCII character outside such words is one
token, and all other characters are encoded as UTF-8 bytes.
"""

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from polypref.tiny.lexicon import JA_PARTICLES, LANGUAGES, NAMES, WORDS
from polypref.tiny.world import UNSPACED

PAD, BOS, EOS, USER, ASSISTANT, SYSTEM = "<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"
SPECIAL = (PAD, BOS, EOS, USER, ASSISTANT, SYSTEM)
MAX_LENGTH = 8192

# Words of the prompts, so that a prompt has a few dozen tokens instead of a few hundred.
PROMPT_WORDS = ("Translate", "this", "from", "to", "Which", "answer", "the", "prompt", "better", "Answer", "TIE", "or")
TAGS = tuple(f"<{slash}{tag}>" for tag in ("prompt", "answer_a", "answer_b") for slash in ("", "/"))

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def world_tokens() -> dict[str, list[tuple[str, str]]]:
    """Return all tokens that represent words of the world.

    Returns
    -------
    tokens
        Token -> the (concept, language) pairs that it represents. In languages with spaces, each word has two tokens,
        with and without the space before it.
    """
    tokens: dict[str, list[tuple[str, str]]] = {}
    for concept, forms in WORDS.items():
        for language, word in forms.items():
            spaced = () if language in UNSPACED else (f" {word}",)
            for token in (word, *spaced):
                tokens.setdefault(token, []).append((concept, language))
    for role, particle in JA_PARTICLES.items():
        tokens.setdefault(particle, []).append((f"particle-{role}", "ja"))
    return tokens


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the shared tokenizer, with the same bytes in every run."""
    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *map(chr, range(32, 127)), "\n"]
    for word in (*NAMES.values(), *PROMPT_WORDS):
        pieces += [word, f" {word}"]
    pieces += [*TAGS, *sorted(world_tokens())]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True, ignore_merges=True))
    runs = {forms[language] for forms in WORDS.values() for language in UNSPACED} | set(JA_PARTICLES.values())
    runs_pattern = "|".join(re.escape(word) for word in sorted(runs, key=lambda word: (-len(word), word)))
    pattern = "|".join((runs_pattern, *TAGS, r" ?[\p{Latin}\p{Cyrillic}\p{Arabic}\x{064B}-\x{0652}]+"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def concept_of_prompt_word(token: str) -> tuple[str, str] | None:
    """Return ("language-name", code) for the name of a language, and None for all other tokens."""
    for language in LANGUAGES:
        if token.strip() == NAMES[language]:
            return "language-name", language
    return None
