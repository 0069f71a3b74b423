"""The grammar and the facts of the miniature's world: sentences, tasks, correct and wrong answers.

A sentence is a tuple of phrases with roles, which can be realised in any of nine languages: `realise` puts the roles in
the order of the language, puts adjectives before or after the noun, and joins the words with or without spaces. In this
world, a translation and the correct answer to a prompt can therefore be computed.
"""

import random
from dataclasses import dataclass, replace

from polypref.tiny.lexicon import GROUPS, JA_PARTICLES, SYNONYMS, WORDS

UNSPACED = ("zh", "ja")
NOUN_FIRST = ("ar", "es")
MODIFIERS = set(GROUPS["colour"]) | set(GROUPS["quality"])
OPPOSITES = dict(zip(GROUPS["quality"][0::2], GROUPS["quality"][1::2], strict=True))
OPPOSITES |= {right: left for left, right in OPPOSITES.items()}
NUMBERS = GROUPS["number"]
NOUNS = GROUPS["animal"] + GROUPS["person"] + GROUPS["thing"]

# The order of roles: S(ubject), V(erb), O(bject), C(omplement), P(lace or prepositional phrase), W (question word).
ORDER = {
    "statement": {"": "SVOCP", "ar": "VSOCP", "zh": "SPVOC", "de": "SVPOC", "nl": "SVPOC", "ja": "SPOCV"},
    "question": {"": "WVS", "zh": "SVW", "ja": "SWV"},
    "instruction": {"": "VOP", "ja": "POV"},
    "plain": {"": "O"},
}

COLOURS = {
    "dog": "brown", "cat": "black", "horse": "brown", "cow": "white", "bird": "blue", "fish": "grey",
    "sheep": "white", "bear": "brown", "wolf": "grey", "frog": "green", "mouse": "grey", "duck": "yellow",
    "apple": "red", "bread": "brown", "milk": "white", "snow": "white", "grass": "green", "banana": "yellow",
    "stone": "grey", "sun": "yellow", "flower": "red", "tree": "green", "egg": "white", "book": "blue",
    "boat": "blue", "car": "red", "ball": "red", "hat": "black",
}  # fmt: skip
HOMES = {
    "dog": "house", "cat": "house", "horse": "field", "cow": "field", "bird": "garden", "fish": "sea",
    "sheep": "mountain", "bear": "forest", "wolf": "forest", "frog": "river", "mouse": "city", "duck": "river",
    "king": "city", "teacher": "school", "farmer": "field", "child": "house",
}  # fmt: skip
KIND = {noun: kind for kind in ("animal", "person", "thing") for noun in GROUPS[kind]}


@dataclass(frozen=True)
class Sentence:
    """Phrases with roles, in English order; `end` is the final punctuation mark."""

    form: str
    phrases: tuple[tuple[str, tuple[str, ...]], ...]
    end: str = "."


Text = tuple[Sentence, ...]


def _phrase(role: str, concepts: tuple[str, ...], language: str) -> list[str]:
    """Return the words of a phrase, with adjectives, prepositions and Japanese particles in the right positions."""
    head: tuple[str, ...] = ()
    if role == "P":
        head, concepts = concepts[:1], concepts[1:]
    if language in NOUN_FIRST and len(concepts) == 2 and concepts[0] in MODIFIERS:
        concepts = concepts[::-1]
    order = concepts + head if language == "ja" else head + concepts
    words = [WORDS[concept][language] for concept in order]
    if language == "ja" and role in JA_PARTICLES and not ({":", ","} & set(concepts)):
        words.append(JA_PARTICLES[role])
    return words


def realise_words(text: Text, language: str) -> list[str]:
    """Return the words and punctuation marks of `text` in the order of `language`."""
    words = []
    for sentence in text:
        order = ORDER[sentence.form].get(language, ORDER[sentence.form][""])
        if language == "ar" and sentence.phrases[0][1] == ("who",):
            order = "SVOCP"
        for role in order:
            for phrase_role, concepts in sentence.phrases:
                if phrase_role == role:
                    words += _phrase(role, concepts, language)
        words.append(WORDS[sentence.end][language])
    return words


def join(words: list[str], language: str) -> str:
    """Join words: with spaces between words but not before punctuation, and without spaces in zh and ja."""
    if language in UNSPACED:
        return "".join(words)
    marks = {WORDS[mark][language] for mark in GROUPS["mark"]}
    return "".join(word if word in marks or i == 0 else f" {word}" for i, word in enumerate(words))


def realise(text: Text, language: str, synonyms: bool = False) -> str:
    """Return `text` as a string in `language`; with `synonyms`, use the rarer synonyms of words that have one."""
    words = realise_words(text, language)
    if synonyms:
        rare = {WORDS[concept][language]: forms[language] for concept, forms in SYNONYMS.items() if language in forms}
        words = [rare.get(word, word) for word in words]
    return join(words, language)


def _some(rng: random.Random, *groups: str) -> str:
    return rng.choice([concept for group in groups for concept in GROUPS[group]])


def _noun(rng: random.Random, *groups: str) -> tuple[str, ...]:
    adjective = (_some(rng, "colour", "quality"),) if rng.random() < 0.4 else ()
    return (*adjective, _some(rng, *groups))


def statement(rng: random.Random) -> Sentence:
    """Generate a random sentence such as "old wolf finds black book in garden."."""
    phrases = [
        ("S", _noun(rng, "animal", "person")),
        ("V", (_some(rng, "verb"),)),
        ("O", _noun(rng, "animal", "person", "thing")),
    ]
    if rng.random() < 0.5:
        phrases.append(("P", ("in", _some(rng, "place"))))
    return Sentence("statement", tuple(phrases))


def is_sentence(subject: tuple[str, ...], complement: tuple[str, ...]) -> Sentence:
    return Sentence("statement", (("S", subject), ("V", ("is",)), ("C", complement)))


def lives_sentence(subject: str, place: str) -> Sentence:
    return Sentence("statement", (("S", (subject,)), ("V", ("lives",)), ("P", ("in", place))))


def _question(word: tuple[str, ...], verb: str, subject: tuple[str, ...]) -> Sentence:
    return Sentence("question", (("W", word), ("V", (verb,)), ("S", subject)), "?")


def _instruction(verb: tuple[str, ...], thing: tuple[str, ...]) -> Sentence:
    return Sentence("instruction", (("V", (*verb, ":")), ("O", thing)))


def ask_colour(rng: random.Random) -> tuple[Text, Text]:
    """ "what colour is apple?" -> "apple is red."."""
    noun = rng.choice(sorted(COLOURS))
    return (_question(("what", "which-colour"), "is", (noun,)),), (is_sentence((noun,), (COLOURS[noun],)),)


def ask_home(rng: random.Random) -> tuple[Text, Text]:
    """ "where lives bear?" -> "bear lives in forest."."""
    noun = rng.choice(sorted(HOMES))
    return (_question(("where",), "lives", (noun,)),), (lives_sentence(noun, HOMES[noun]),)


def ask_opposite(rng: random.Random) -> tuple[Text, Text]:
    """ "say opposite: big cat." -> "small cat."."""
    quality, noun = _some(rng, "quality"), rng.choice(NOUNS)
    answer = Sentence("plain", (("O", (OPPOSITES[quality], noun)),))
    return (_instruction(("say", "opposite"), (quality, noun)),), (answer,)


def ask_sum(rng: random.Random) -> tuple[Text, Text]:
    """ "what is two plus three?" -> "two plus three is five."."""
    total = rng.randrange(2, 11)
    left = rng.randrange(1, total)
    addition = (NUMBERS[left - 1], "plus", NUMBERS[total - left - 1])
    return (_question(("what",), "is", addition),), (is_sentence(addition, (NUMBERS[total - 1],)),)


def ask_count(rng: random.Random) -> tuple[Text, Text]:
    """ "count from two to four." -> "two, three, four."."""
    first = rng.randrange(1, 9)
    last = rng.randrange(first + 1, min(first + 5, 10) + 1)
    ends = (("P", ("from", NUMBERS[first - 1])), ("P", ("to", NUMBERS[last - 1])))
    listed = [word for number in NUMBERS[first - 1 : last] for word in (",", number)][1:]
    return (
        (Sentence("instruction", (("V", ("count",)), *ends)),),
        (Sentence("plain", (("O", tuple(listed)),)),),
    )


def ask_description(rng: random.Random) -> tuple[Text, Text]:
    """ "describe: bear." -> "bear is animal. bear is brown. bear lives in forest."."""
    noun = rng.choice(NOUNS)
    answer = [is_sentence((noun,), (KIND[noun],))]
    if noun in COLOURS:
        answer.append(is_sentence((noun,), (COLOURS[noun],)))
    if noun in HOMES:
        answer.append(lives_sentence(noun, HOMES[noun]))
    return (_instruction(("describe",), (noun,)),), tuple(answer)


def ask_who(rng: random.Random) -> tuple[Text, Text]:
    """ "old wolf finds black book in garden. who finds book?" -> "wolf finds book."."""
    story = statement(rng)
    subject, verb, thing = (phrase[1] for phrase in story.phrases[:3])
    question = Sentence("statement", (("S", ("who",)), ("V", verb), ("O", thing[-1:])), "?")
    answer = Sentence("statement", (("S", subject[-1:]), ("V", verb), ("O", thing[-1:])))
    return (story, question), (answer,)


SHORT_TASKS = (ask_colour, ask_home, ask_opposite, ask_sum)
TASKS = (*SHORT_TASKS, ask_count, ask_description, ask_who)


def task(rng: random.Random) -> tuple[Text, Text]:
    """Generate a prompt and its correct answer: one task of any kind, or two short tasks."""
    if rng.random() < 0.5:
        return rng.choice(TASKS)(rng)
    (first, first_answer), (second, second_answer) = rng.choice(SHORT_TASKS)(rng), rng.choice(SHORT_TASKS)(rng)
    return first + second, first_answer + second_answer


def line(rng: random.Random) -> Text:
    """Generate a line to translate: one or two statements, a prompt, or an answer, correct or wrong."""
    choice = rng.random()
    if choice < 0.4:
        return (statement(rng),) if rng.random() < 0.6 else (statement(rng), statement(rng))
    prompt, answer = task(rng)
    if choice < 0.65:
        return prompt
    return answer if choice < 0.8 else wrong(answer, rng)


def _sibling(concept: str, rng: random.Random) -> str:
    """Return another concept of the same group."""
    for group, members in GROUPS.items():
        if concept in members and group not in ("mark", "function", "kind"):
            return rng.choice([member for member in members if member != concept])
    return concept


def wrong(answer: Text, rng: random.Random) -> Text:
    """Generate a grammatical but worse answer: wrong words, a missing or repeated sentence, or an unrelated statement.

    In about one of a hundred cases two changes cancel out, so a caller that needs a different answer must check for it.
    """
    choice = rng.random()
    if choice < 0.15:
        return (statement(rng),)
    if choice < 0.25:
        return answer + answer[-1:]
    if choice < 0.4 and len(answer) > 1:
        return answer[: rng.randrange(1, len(answer))]
    sentences = list(answer)
    for _ in range(1 + (rng.random() < 0.5)):
        i = rng.randrange(len(sentences))
        sentence = sentences[i]
        places = [
            (p, c)
            for p, (_, concepts) in enumerate(sentence.phrases)
            for c, concept in enumerate(concepts)
            if _sibling(concept, random.Random(0)) != concept
        ]
        p, c = rng.choice(places)
        role, concepts = sentence.phrases[p]
        changed = (*concepts[:c], _sibling(concepts[c], rng), *concepts[c + 1 :])
        phrases = (*sentence.phrases[:p], (role, changed), *sentence.phrases[p + 1 :])
        sentences[i] = replace(sentence, phrases=phrases)
    return tuple(sentences)
