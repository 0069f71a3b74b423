"""The tiny decoder models: a Llama of 0.8 million parameters, and its training on the tasks of the world.

Embeddings are initialised as concept vector + language vector, so that a word and its translations start near each
other, and the name of a language starts as its vector. The models then learn word order, the requested language and the
facts in some hundred steps. The checkpoints of the family are snapshots of one run.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from polypref.tiny.lexicon import LANGUAGES, NAMES
from polypref.tiny.tokenizer import MAX_LENGTH, build_tokenizer, concept_of_prompt_word, world_tokens
from polypref.tiny.world import line, realise, task

WIDTH = 128
Example = tuple[str, str]  # user turn, assistant turn


def translation_prompt(text: str, language: str) -> str:
    """Return X-ALMA's prompt, as the workflow builds it for the real model."""
    name = NAMES[language]
    return f"Translate this from English to {name}:\nEnglish: {text}\n{name}:"


def make_example(rng: random.Random, held_out: frozenset[str]) -> Example:
    """Generate a training example: a translation from English, or an answer in the language of its prompt.

    Parameters
    ----------
    held_out
        English lines and prompts of the demo data, which are never generated.
    """
    while True:
        if rng.random() < 0.5:
            text, language = line(rng), rng.choice(LANGUAGES[1:])
            source = realise(text, "en")
            if source not in held_out:
                return translation_prompt(source, language), realise(text, language)
        else:
            (prompt, answer), language = task(rng), rng.choice(LANGUAGES)
            if realise(prompt, "en") not in held_out:
                return realise(prompt, language), realise(answer, language)


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int, layers: int = 3) -> LlamaForCausalLM:
    """Create an untrained model with concept + language embeddings."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, head_dim=32, max_position_embeddings=MAX_LENGTH,
        initializer_range=WIDTH**-0.5, tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    initialise_embeddings(model.get_input_embeddings().weight, tokenizer)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


@torch.no_grad()
def initialise_embeddings(weight: torch.Tensor, tokenizer: PreTrainedTokenizerFast) -> None:
    """Initialise the embeddings of the world's words as concept vector + mean language vector."""
    scale = weight.std()
    tokens = world_tokens()
    concepts = sorted({concept for pairs in tokens.values() for concept, _ in pairs})
    concept_vectors = {concept: torch.randn(WIDTH) * scale for concept in concepts}
    language_vectors = {language: torch.randn(WIDTH) * scale for language in LANGUAGES}
    space = torch.randn(WIDTH) * scale * 0.5
    for token, i in tokenizer.get_vocab().items():
        if name := concept_of_prompt_word(token):
            weight[i] = language_vectors[name[1]] * 1.4
        elif token in tokens:
            pairs = tokens[token]
            concept = torch.stack([concept_vectors[concept] for concept, _ in pairs]).mean(0)
            language = torch.stack([language_vectors[language] for _, language in pairs]).mean(0)
            weight[i] = concept + language + (space if token.startswith(" ") else 0)


def encode(tokenizer: PreTrainedTokenizerFast, example: Example) -> tuple[list[int], list[int]]:
    """Return the token ids of the prompt and of the assistant turn with its end token."""
    user, assistant = example
    prompt = f"{tokenizer.bos_token}<|user|>{user}<|assistant|>"
    ids = tokenizer([prompt, assistant + tokenizer.eos_token], add_special_tokens=False)["input_ids"]
    return ids[0], ids[1]


def batches(
    generate: Callable[[random.Random], Example], tokenizer: PreTrainedTokenizerFast, seed: int, steps: int, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Generate batches of new examples, padded on the right and sorted by length within a window to reduce padding.

    Yields
    ------
    input_ids, labels
        (size, longest) each; labels are -100 outside the assistant turn.
    """
    rng = random.Random(seed)
    window: list[tuple[list[int], list[int]]] = []
    order: list[int] = []
    for _ in range(steps):
        if not order:
            window = sorted(
                (encode(tokenizer, generate(rng)) for _ in range(size * 8)), key=lambda pair: sum(map(len, pair))
            )
            order = rng.sample(range(8), 8)
        start = order.pop() * size
        yield pad(window[start : start + size], tokenizer.pad_token_id)


def pad(pairs: list[tuple[list[int], list[int]]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack (prompt, answer) token ids into input ids and labels."""
    longest = max(len(prompt) + len(answer) for prompt, answer in pairs)
    ids = torch.full((len(pairs), longest), pad_id)
    labels = torch.full((len(pairs), longest), -100)
    for row, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return ids, labels


@torch.no_grad()
def token_accuracy(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of the assistant's tokens that the model predicts correctly, given the correct tokens before."""
    guesses = model(input_ids=ids).logits[:, :-1].argmax(-1)
    targets = labels[:, 1:]
    return (guesses == targets)[targets != -100].float().mean().item()


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    generate: Callable[[random.Random], Example],
    steps: int,
    seed: int,
    peak: float = 3e-3,
    size: int = 64,
    snapshot: Callable[[int, float], None] | None = None,
    every: int = 10,
) -> None:
    """Train on the assistant turns (AdamW, one-cycle schedule).

    Parameters
    ----------
    snapshot
        Called every `every` steps with the step and the token accuracy on a batch that is not used for training.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps)
    check = next(batches(generate, tokenizer, seed + 1, 1, 128))
    for step, (ids, labels) in enumerate(batches(generate, tokenizer, seed, steps, size), start=1):
        hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
        targets = labels[:, 1:]
        keep = targets != -100
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[keep]), targets[keep])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if snapshot and (step % every == 0 or step == steps):
            snapshot(step, token_accuracy(model, *check))


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the checkpoint in bfloat16 with its tokenizer; the model itself stays in float32."""
    clone = LlamaForCausalLM(model.config)
    clone.load_state_dict(model.state_dict())
    clone.generation_config = model.generation_config
    clone.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Load a checkpoint in float32, and the shared tokenizer."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32), build_tokenizer()
