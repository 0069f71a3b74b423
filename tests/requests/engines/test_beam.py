"""Beam search as a state machine, and the log-probabilities of choices."""

import itertools
import math
import random
from dataclasses import dataclass

import pytest

from polypref.requests.engines.beam import BeamSearch, candidates
from polypref.requests.engines.vllm_jobs import choice_logprobs

END = 0


def table(seed, words=4):
    """A random language model over `words` tokens: {answer so far: {token: log-probability}}."""
    random.seed(seed)
    model = {}
    for length in range(4):
        for answer in itertools.product(range(words), repeat=length):
            weights = [random.random() ** 3 + 1e-3 for _ in range(words)]
            model[answer] = {token: math.log(w / sum(weights)) for token, w in enumerate(weights)}
    return model


def run(model, width, max_tokens):
    search = BeamSearch(width, max_tokens, frozenset({END}))
    while not step(search, lambda tokens: model[tuple(tokens)]):
        pass
    return search


def step(search, model):
    """Advance a search by a model: a function of an answer so far to {token: log-probability}."""
    extended = [
        (score + logprob, index, token)
        for index, (tokens, score) in enumerate(search.beams)
        for token, logprob in model(tokens).items()
    ]
    return search.advance(sorted(extended, key=lambda item: -item[0])[: search.candidates])


@pytest.mark.parametrize("seed", range(20))
def test_wide_enough_beams_find_the_best_answer(seed):
    model = table(seed)
    scores = {}
    for length in range(1, 4):
        for answer in itertools.product(range(4), repeat=length):
            ended = answer[-1] == END
            if END in answer[:-1] or (not ended and length < 3):
                continue
            total = sum(model[answer[:i]][token] for i, token in enumerate(answer))
            scores[answer] = total / length
    best = max(scores, key=scores.get)
    tokens, reason = run(model, 64, 3).best()
    assert (*tokens, END)[: len(best)] == best
    assert reason == ("stop" if best[-1] == END else "length")


def test_stops_when_no_beam_can_win():
    sure = {END: math.log(0.9), 1: math.log(0.06), 2: math.log(0.04)}
    search = BeamSearch(2, 2048, frozenset({END}))
    steps = 1
    while not step(search, lambda _: sure):
        steps += 1
    assert steps < 10
    assert search.best() == ([], "stop")


def test_outputs_are_truncated_at_max_tokens():
    never = {1: math.log(0.6), 2: math.log(0.4)}
    search = BeamSearch(2, 5, frozenset({END}))
    while not step(search, lambda _: never):
        pass
    assert search.best() == ([1] * 5, "length")


def test_ties_are_broken_deterministically():
    even = {token: math.log(0.25) for token in (3, 1, 2, 4)}
    reversed_even = dict(reversed(even.items()))
    outcomes = set()
    for logprobs in (even, reversed_even):
        search = BeamSearch(4, 4, frozenset({END}))
        while not step(search, lambda _, logprobs=logprobs: logprobs):
            pass
        outcomes.add(tuple(search.best()[0]))
    assert len(outcomes) == 1


def test_origins_name_the_beam_that_each_beam_extends():
    search = BeamSearch(2, 8, frozenset({END}))
    search.advance([(-0.5, 0, 1), (-1.0, 0, 2), (-3.0, 0, 3)])
    assert (search.beams, search.origins) == ([([1], -0.5), ([2], -1.0)], [0, 0])
    search.advance([(-1.1, 1, 3), (-1.2, 1, 4), (-9.0, 0, 3)])
    assert (search.beams, search.origins) == ([([2, 3], -1.1), ([2, 4], -1.2)], [1, 1])


def test_a_small_vocabulary_is_filled_up_with_beams_that_cannot_win():
    search = BeamSearch(4, 2, frozenset({END}))
    search.advance([(-0.1, 0, 1), (-2.0, 0, 2)])
    assert [score for _, score in search.beams] == [-0.1, -2.0, -math.inf, -math.inf]
    search.advance([(-0.3, 0, 1), (-2.2, 1, 1), (-math.inf, 2, 1)])
    assert search.best() == ([1, 1], "length") and all(score > -math.inf for score, _ in search.finished)


def test_enough_candidates_remain_if_the_best_ones_are_end_tokens():
    assert candidates(5, 1) == 10
    assert candidates(5, 3) == 20


@dataclass
class Entry:
    logprob: float
    decoded_token: str


def test_choice_logprobs_sum_over_the_tokens_that_begin_a_choice():
    first = {
        0: Entry(math.log(0.5), "A"), 1: Entry(math.log(0.2), "B"), 2: Entry(math.log(0.2), "T"),
        3: Entry(math.log(0.1), "TIE"), 4: Entry(-math.inf, "C"), 5: Entry(math.log(1e-9), "x"),
    }  # fmt: skip
    got = choice_logprobs(["A", "B", "TIE"], first)
    assert got == pytest.approx({"A": math.log(0.5), "B": math.log(0.2), "TIE": math.log(0.3)})


def test_choice_logprobs_need_a_first_token_that_distinguishes_the_choices():
    assert choice_logprobs(["Tie", "Two"], {0: Entry(-0.1, "T")}) is None
    assert math.isfinite(choice_logprobs(["A", "B"], {0: Entry(0.0, "A")})["B"])
