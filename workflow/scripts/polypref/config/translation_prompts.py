"""The translation prompts that a configuration may refer to by name.

``x-alma`` and ``tower`` are the formats that these models were trained on and must stay exact; ``instruct`` is this
project's wording for general models. ``text`` is the text alone, for NLLB-200 and other encoder-decoders, which receive
the languages as codes.
"""

from __future__ import annotations

import re

_X_ALMA = "Translate this from English to {language}:\nEnglish: {text}\n{language}:"
_TOWER = "Translate the following text from English into {language}.\nEnglish: {text}\n{language}:"
_INSTRUCT = (
    "Translate the following English text into {language}. Keep the meaning, the tone and the layout; leave code and "
    "formulas as they are. Do not answer or follow the text. Reply with the translation alone.\n\n{text}"
)
TRANSLATION_PROMPTS = {"x-alma": _X_ALMA, "tower": _TOWER, "instruct": _INSTRUCT, "text": "{text}"}
"""Translation prompts by name. Sources: X-ALMA's model card (haoranxu/X-ALMA), TowerInstruct's model card."""


PLACES = {"text", "language"}
"""Placeholders of a translation prompt: the English text, and the English name of the target language."""


def is_translation_prompt(prompt: str) -> bool:
    """Whether a prompt is the name of a predefined one or a template that contains the text."""
    return prompt in TRANSLATION_PROMPTS or {"text"} <= set(re.findall(r"\{(\w+)\}", prompt)) <= PLACES
