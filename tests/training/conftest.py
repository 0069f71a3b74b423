"""Preference pairs at the limits of the training length."""

import pandas as pd
import pytest
from word_tokenizer import LENGTHS, pair


@pytest.fixture
def pairs() -> pd.DataFrame:
    return pd.DataFrame([pair(number, *lengths) for number, lengths in enumerate(LENGTHS)])
