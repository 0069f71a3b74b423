"""Comparison of the translators by BLEU, chrF++ and COMET, with paired significance tests."""
