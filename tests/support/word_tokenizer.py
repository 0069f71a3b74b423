"""A tokenizer with one token per word, its chat template, and preference pairs of a given length in words."""

from polypref.config.training import Training

WORDS = [f"w{number}" for number in range(50)]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %} [USER] {{ m['content'] }}"
    "{% else %} [ASSISTANT] {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} [ASSISTANT]{% endif %}"
)
# Lengths in words of prompt, chosen and rejected, and what training with max_length 20 does with the pair. A prompt has
# three tokens more than words, and a whole conversation one more than that. A prompt of 18 tokens leaves no room, and a
# conversation of 21 tokens is cut.
LENGTHS = {
    (5, 5, 5): "kept", (14, 1, 1): "kept", (15, 1, 1): "dropped", (40, 1, 1): "dropped",
    (8, 8, 8): "kept", (8, 9, 3): "cut", (8, 3, 9): "cut",
}  # fmt: skip


def words(number: int, first: int = 0) -> str:
    return " ".join(WORDS[(first + i) % len(WORDS)] for i in range(number))


def pair(number: int, prompt: int, chosen: int, rejected: int) -> dict:
    asked = [{"role": "user", "content": words(prompt)}]
    answers = [
        [*asked, {"role": "assistant", "content": words(length, first)}]
        for first, length in ((0, chosen), (1, rejected))
    ]
    return {
        "item_id": f"id{number:03d}", "language": "de", "chosen_messages": answers[0], "rejected_messages": answers[1],
    }  # fmt: skip


def word_tokenizer():
    """Return a fast tokenizer with a chat template; special tokens start and end a conversation."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>", "[USER]", "[ASSISTANT]"]
    whole = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + WORDS)}, unk_token="<unk>"))
    whole.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=whole, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    made.chat_template = TEMPLATE
    return made


def settings(**changes) -> Training:
    changes = {"runtime": {"launcher": "cpu", "gpus": 0}} | changes
    return Training(**{"base": "tiny", "batch_size": 4, "max_length": 20} | changes)
