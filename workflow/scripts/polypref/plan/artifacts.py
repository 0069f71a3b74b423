"""The names of artifacts: files of translations, of responses and of ratings."""

from __future__ import annotations

from typing import NamedTuple


class Translation(NamedTuple):
    """A file of translations: corpus ``pairs`` or ``wmt``, field, translator, language."""

    corpus: str
    field: str
    model: str
    language: str

    @property
    def stem(self) -> str:
        return "/".join(self)

    @property
    def rating_stem(self) -> str:
        """The stem of the requests and ratings for these translations, which are of the base set."""
        return "/".join(self[1:])


class Response(NamedTuple):
    """A file of generated responses: origin of the prompt (see :meth:`Plan.origin`), generator, language."""

    origin: str
    model: str
    language: str

    @property
    def stem(self) -> str:
        return "/".join(self)
