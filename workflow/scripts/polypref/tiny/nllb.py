"""A tiny NLLB: an M2M100 of 0.9 million parameters with NLLB's tokenizer class and language codes.

It translates sentences from English. Its embeddings start random, its BPE is small and its training stops early, so
that it is worse than the strong decoder model but better than random output.
"""

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, trainers
from transformers import GenerationConfig, M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

from polypref.tiny.lexicon import JA_PARTICLES, LANGUAGES, WORDS
from polypref.tiny.models import pad
from polypref.tiny.world import UNSPACED, line, realise

CODES = {"en": "eng_Latn", "ar": "arb_Arab", "zh": "zho_Hans", "de": "deu_Latn", "is": "isl_Latn",
         "ja": "jpn_Jpan", "nl": "nld_Latn", "ru": "rus_Cyrl", "es": "spa_Latn"}  # fmt: skip
WIDTH = 128
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def build_tokenizer() -> NllbTokenizer:
    """Build a tokenizer of NLLB's class, with a BPE in which every word of the world is one piece."""
    marks = set(WORDS["."].values()) | set(WORDS["?"].values()) | set(WORDS[":"].values()) | set(WORDS[","].values())
    words = set(JA_PARTICLES.values()) | marks | {"▁"}
    for forms in WORDS.values():
        for language, word in forms.items():
            if word not in marks:
                words.add(word if language in UNSPACED else f"▁{word}")
    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    letters = sorted({letter for word in words for letter in word} | set("abcdefghijklmnopqrstuvwxyz"))
    trainer = trainers.BpeTrainer(
        vocab_size=20_000, min_frequency=1, special_tokens=list(SPECIAL), initial_alphabet=letters, show_progress=False
    )
    bpe.train_from_iterator(sorted(words), trainer)
    vocab = bpe.get_vocab()
    merges = _merges(bpe)
    return NllbTokenizer(
        vocab=vocab, merges=merges, extra_special_tokens=[CODES[language] for language in LANGUAGES],
        src_lang=CODES["en"], model_max_length=256,
    )  # fmt: skip


def _merges(bpe: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]


def build_model(tokenizer: NllbTokenizer, seed: int) -> M2M100ForConditionalGeneration:
    """Create an untrained encoder-decoder with two layers each and shared embeddings."""
    torch.manual_seed(seed)
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=WIDTH, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=2 * WIDTH, decoder_ffn_dim=2 * WIDTH, max_position_embeddings=256,
        dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0,
        scale_embedding=True, init_std=WIDTH**-0.5, bos_token_id=0, pad_token_id=1, eos_token_id=2,
        decoder_start_token_id=2, tie_word_embeddings=True,
    )  # fmt: skip
    model = M2M100ForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, max_length=128
    )
    return model


def train(
    model: M2M100ForConditionalGeneration,
    tokenizer: NllbTokenizer,
    held_out: frozenset[str],
    steps: int,
    seed: int,
    stop: float,
    peak: float = 3e-3,
    size: int = 64,
) -> tuple[int, float]:
    """Train from English to eight languages until the token accuracy on a check batch reaches `stop`.

    Returns
    -------
    step, accuracy
        Step and token accuracy at the end of the training.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps)
    rng = random.Random(seed)
    check = _batch(tokenizer, random.Random(seed + 1), held_out, 128)
    accuracy = 0.0
    for step in range(1, steps + 1):
        ids, mask, decoder, labels = _batch(tokenizer, rng, held_out, size)
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            accuracy = _accuracy(model, *check)
            if step % 100 == 0:
                print(f"nllb step {step}: {accuracy:.3f} of tokens correct", flush=True)
            if accuracy >= stop:
                break
    return step, accuracy


def _batch(tokenizer: NllbTokenizer, rng: random.Random, held_out: frozenset[str], size: int) -> tuple:
    """Generate source ids and mask, decoder inputs (</s> code words...) and labels (code masked, words... </s>)."""
    source_prefix, end = tokenizer.convert_tokens_to_ids(CODES["en"]), tokenizer.eos_token_id
    sources, targets = [], []
    while len(sources) < size:
        text, language = line(rng), rng.choice(LANGUAGES[1:])
        english = realise(text, "en")
        if english in held_out:
            continue
        pair = [english, realise(text, language)]
        left, right = tokenizer(pair, add_special_tokens=False)["input_ids"]
        sources.append(([source_prefix, *left, end], []))
        targets.append(([end, tokenizer.convert_tokens_to_ids(CODES[language])], [*right, end]))
    ids, _ = pad(sources, tokenizer.pad_token_id)
    decoder, labels = pad(targets, tokenizer.pad_token_id)
    return ids, (ids != tokenizer.pad_token_id).long(), decoder[:, :-1], labels[:, 1:]


@torch.no_grad()
def _accuracy(model: M2M100ForConditionalGeneration, ids, mask, decoder, labels) -> float:
    guesses = model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder).logits.argmax(-1)
    return (guesses == labels)[labels != -100].float().mean().item()


def save(model: M2M100ForConditionalGeneration, tokenizer: NllbTokenizer, folder: Path) -> None:
    """Write the checkpoint in bfloat16 with its tokenizer."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
