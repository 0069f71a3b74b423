"""The translators compared: BLEU, chrF++ and COMET with paired tests."""
