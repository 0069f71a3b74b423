"""The tiny judge: a checkpoint of the family with three more layers, trained to compare two answers.

It learns from correct and corrupted answers, in both orders. The better answer is the one that agrees more with the
correct answer, word by word and in order, so the judge has to know the correct answer. One token per comparison is a
weak training signal, so there are auxiliary losses: the parent's layers continue to predict the next word of an answer
where it is correct, a head after the first new layer classifies each word as correct or not, and a head after the
second predicts at each answer's closing tag which share of it is correct. The last layer compares the two. The heads
are discarded after training.
"""

import copy
import random
from collections.abc import Callable
from difflib import SequenceMatcher

import torch
from torch.nn.functional import cross_entropy, mse_loss
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from polypref.tiny.lexicon import GROUPS, LANGUAGES, WORDS
from polypref.tiny.models import WIDTH, build_model
from polypref.tiny.world import ask_who, join, realise, realise_words, task, wrong

EXTRA_LAYERS = 3
TIE_WITHIN = 0.05


def agreement(answer: list[str], right: list[str]) -> float:
    """Return how much of `answer` agrees with `right` in order: 1 for the same words, 0 for no common words."""
    return SequenceMatcher(None, answer, right, autojunk=False).ratio()


def noise(words: list[str], language: str, rng: random.Random) -> list[str]:
    """Corrupt a share of the words like a half-trained model: other words, other languages, omissions, repetitions."""
    share, corrupted = rng.random(), []
    groups = {forms[language]: group for group, members in GROUPS.items() for forms in map(WORDS.get, members)}
    concepts = {forms[language]: concept for concept, forms in WORDS.items()}
    for word in words:
        choice = rng.random()
        if rng.random() > share or word not in groups:
            corrupted.append(word)
        elif choice < 0.6:
            corrupted.append(WORDS[rng.choice(GROUPS[groups[word]])][language])
        elif choice < 0.75:
            corrupted.append(WORDS[rng.choice(list(WORDS))][language])
        elif choice < 0.85:
            corrupted.append(WORDS[concepts[word]][rng.choice(LANGUAGES)])
        elif choice < 0.93:
            corrupted += [word] * rng.randrange(2, 4)
    return corrupted


def candidate(prompt, answer, language: str, rng: random.Random) -> list[str]:
    """Generate the words of an answer: correct, wrong in one place, or corrupted in some other way."""
    choice, right = rng.random(), realise_words(answer, language)
    if choice < 0.32:
        return right
    if choice < 0.46:
        return realise_words(wrong(answer, rng), language)
    if choice < 0.52:
        return realise_words(wrong(wrong(answer, rng), rng), language)
    if choice < 0.72:  # the answer to another prompt, correct or not: the most frequent error of half-trained models
        other = task(rng)[1]
        return realise_words(other if rng.random() < 0.7 else wrong(other, rng), language)
    if choice < 0.76:
        return realise_words(answer if rng.random() < 0.7 else wrong(answer, rng), rng.choice(LANGUAGES))
    if choice < 0.78:
        return realise_words(prompt, language)
    if choice < 0.80:
        return right[: rng.randrange(len(right))]
    if choice < 0.82:
        return rng.sample(right, len(right))
    if choice < 0.84:
        return [WORDS[rng.choice(list(WORDS))][language]] * rng.randrange(1, 12)
    return noise(right, language, rng)


def comparison(rng: random.Random, held_out: frozenset[str]) -> tuple[str, list[str], list[str], list[str], str]:
    """Generate a prompt, the words of its correct answer and of two candidates, and the language."""
    while True:
        prompt, answer = ask_who(rng) if rng.random() < 0.3 else task(rng)
        if realise(prompt, "en") in held_out:
            continue
        language = rng.choice(LANGUAGES)
        pair = [candidate(prompt, answer, language, rng) for _ in range(2)]
        return realise(prompt, language), realise_words(answer, language), *pair, language


def verdict(left: float, right: float) -> str:
    """Return A, B or TIE from the agreement of answer A and of answer B with the correct answer."""
    if abs(left - right) < TIE_WITHIN:
        return "TIE"
    return "A" if left > right else "B"


# Token ids; for each token whether it is a correct word (1), a wrong word (0) or neither (-100); the positions of the
# two closing tags; which share of each answer is correct; the id of the verdict.
Row = tuple[list[int], list[int], list[int], tuple[float, float], int]


class Examples:
    """Encode comparisons with the judge's prompt, piece by piece, so that the position of each word is known."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, template: str, held_out: frozenset[str], ties: float = 1.0):
        self.tokenizer, self.held_out, self.ties = tokenizer, held_out, ties
        head, rest = template.split("{prompt}")
        middle, rest = rest.split("{answer_a}")
        between, tail = rest.split("{answer_b}")
        start, end = f"{tokenizer.bos_token}<|user|>", "<|assistant|>"
        self.pieces = self.ids([start + head, middle, between, tail + end, tail + "\n" + end])
        self.closing = set(tokenizer.convert_tokens_to_ids(["</answer_a>", "</answer_b>"]))
        self.verdicts = {name: self.ids([name])[0] for name in ("A", "B", "TIE")}

    def ids(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]

    def sample(self, rng: random.Random) -> Row:
        """Generate and encode one comparison; see `Row`."""
        prompt, right, left_words, right_words, language = comparison(rng, self.held_out)
        scores = agreement(left_words, right), agreement(right_words, right)
        texts = self.ids([prompt, join(left_words, language), join(right_words, language), join(right, language)])
        tokens = [[token.strip() for token in self.tokenizer.convert_ids_to_tokens(ids)] for ids in texts[1:]]
        head, middle, between, tail, tail_newline = self.pieces
        ids, flags, closed = head + texts[0] + middle, [], []
        flags += [-100] * len(ids)
        for answer_ids, answer, piece in (
            (texts[1], tokens[0], between),
            (texts[2], tokens[1], tail_newline if rng.random() < 0.2 else tail),
        ):
            belongs = [0] * len(answer)
            for block in SequenceMatcher(None, answer, tokens[2], autojunk=False).get_matching_blocks():
                belongs[block.a : block.a + block.size] = [1] * block.size
            tag = next(i for i, token in enumerate(piece) if token in self.closing)
            closed.append(len(ids) + len(answer_ids) + tag)
            ids, flags = ids + answer_ids + piece, flags + belongs + [-100] * len(piece)
        return ids, flags, closed, scores, self.verdicts[verdict(*scores)][0]


# The tags start like the marks of a chat, so that the parent's knowledge applies to the judge's prompt from the start.
TAGS_LIKE = {"<prompt>": "<|user|>", "<answer_a>": "<|assistant|>", "<answer_b>": "<|assistant|>",
             "</answer_a>": "</s>", "</answer_b>": "</s>"}  # fmt: skip


@torch.no_grad()
def grow(parent: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Add EXTRA_LAYERS layers with little initial effect to `parent`, and initialise the tags as marks of a chat."""
    layers = len(parent.model.layers)
    judge = build_model(tokenizer, seed, layers + EXTRA_LAYERS)
    judge.load_state_dict(copy.deepcopy(parent.state_dict()), strict=False)
    for layer in judge.model.layers[layers:]:
        layer.self_attn.o_proj.weight.mul_(0.1)
        layer.mlp.down_proj.weight.mul_(0.1)
    embeddings, ids = judge.get_input_embeddings().weight, tokenizer.get_vocab()
    for tag, mark in TAGS_LIKE.items():
        embeddings[ids[tag]] = embeddings[ids[mark]] + 0.1 * embeddings[ids[tag]]
    return judge


def train(
    judge: LlamaForCausalLM,
    examples: Examples,
    steps: int,
    seed: int,
    peak: float = 2e-3,
    size: int = 32,
    report: Callable[[int, float, float], None] | None = None,
) -> None:
    """Train on verdicts and, with auxiliary heads, on the words of the answers (AdamW, one-cycle schedule).

    Parameters
    ----------
    report
        Called every 50 steps with the step and the shares of correct verdicts and word flags since the last call.
    """
    torch.manual_seed(seed)
    flag_head, score_head = torch.nn.Linear(WIDTH, 2), torch.nn.Linear(WIDTH, 1)
    new = [*judge.model.layers[-EXTRA_LAYERS:].parameters(), *flag_head.parameters(), *score_head.parameters()]
    old = [*judge.model.embed_tokens.parameters(), *judge.model.layers[:-EXTRA_LAYERS].parameters()]
    parameters = new + old + [judge.model.norm.weight]
    optimizer = torch.optim.AdamW([{"params": new}, {"params": parameters[len(new) :]}], lr=peak, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [peak, peak / 4], total_steps=steps)
    rng, window, hits, flag_hits = random.Random(seed), [], [], []
    for step in range(1, steps + 1):
        if not window:
            rows = sorted((examples.sample(rng) for _ in range(size * 8)), key=lambda row: len(row[0]))
            window = rng.sample([rows[i : i + size] for i in range(0, len(rows), size)], 8)
        ids, flags, closed, scores, last, verdicts = stack(window.pop(), judge.config.pad_token_id)
        states = judge.model(input_ids=ids, output_hidden_states=True).hidden_states
        rows, before, keep = torch.arange(len(ids)), flags[:, 1:] == 1, flags != -100
        words = judge.lm_head(judge.model.norm(states[-1 - EXTRA_LAYERS][:, :-1][before]))
        guesses = flag_head(judge.model.norm(states[-EXTRA_LAYERS][keep]))
        guessed = score_head(judge.model.norm(states[-2][rows[:, None], closed])).squeeze(-1)
        logits = judge.lm_head(states[-1][rows, last])
        loss = cross_entropy(words, ids[:, 1:][before]) + cross_entropy(guesses, flags[keep])
        loss = loss + 5 * mse_loss(guessed, scores) + cross_entropy(logits, verdicts)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        hits.append((logits.argmax(-1) == verdicts).float().mean().item())
        flag_hits.append((guesses.argmax(-1) == flags[keep]).float().mean().item())
        if report and step % 50 == 0:
            report(step, sum(hits) / len(hits), sum(flag_hits) / len(flag_hits))
            hits, flag_hits = [], []


def stack(rows: list[Row], pad_id: int) -> tuple[torch.Tensor, ...]:
    """Stack ids and flags (batch, longest), positions and scores (batch, 2), last positions and verdicts (batch,)."""
    longest = max(len(row[0]) for row in rows)
    ids = torch.tensor([row[0] + [pad_id] * (longest - len(row[0])) for row in rows])
    flags = torch.tensor([row[1] + [-100] * (longest - len(row[1])) for row in rows])
    closed, scores = torch.tensor([row[2] for row in rows]), torch.tensor([row[3] for row in rows])
    return (
        ids,
        flags,
        closed,
        scores,
        torch.tensor([len(row[0]) - 1 for row in rows]),
        torch.tensor([row[4] for row in rows]),
    )
