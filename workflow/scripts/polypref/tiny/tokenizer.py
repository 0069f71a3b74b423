"""The tokenizer that the tiny decoder models share: one token per word of the world, bytes for all other text.

Any Unicode text goes in and comes out unchanged: a word of the world is one token (with the space before it, if
there is one; in Chinese and Japanese also in the middle of a run), an ASCII character outside such words is one
token, and anything else is spelt in UTF-8 bytes.
"""

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from polypref.tiny.lexicon import JA_PARTICLES, LANGUAGES, NAMES, WORDS
from polypref.tiny.world import UNSPACED

PAD, BOS, EOS, USER, ASSISTANT, SYSTEM = "<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"
SPECIAL = (PAD, BOS, EOS, USER, ASSISTANT, SYSTEM)
MAX_LENGTH = 8192

# Words of the prompts, so that a prompt is a few dozen tokens and not a few hundred letters.
PROMPT_WORDS = ("Translate", "this", "from", "to", "Which", "answer", "the", "prompt", "better", "Answer", "TIE", "or")
TAGS = tuple(f"<{slash}{tag}>" for tag in ("prompt", "answer_a", "answer_b") for slash in ("", "/"))

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def world_tokens() -> dict[str, list[tuple[str, str]]]:
    """Every token that stands for a word of the world.

    Returns
    -------
    tokens
        Token -> the (concept, language) pairs it stands for. Spaced languages have each word twice, with and
        without the space before it.
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
    """The shared tokenizer, the same bytes every time."""
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
    """("language-name", code) for the token of a language's name, None for any other."""
    for language in LANGUAGES:
        if token.strip() == NAMES[language]:
            return "language-name", language
    return None
