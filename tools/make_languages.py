"""Generate resources/languages.yaml: the languages of FLORES-200 (NLLB) and of WMT24++. ``make languages`` runs it.

Sources:

- FLORES-200's varieties: the language codes of NLLB's tokenizer in transformers, and two of FLORES-200 that it lacks;
- WMT24++'s target codes: the configurations of google/wmt24pp (Deutsch et al. 2025, 55 languages and dialects);
- keys and names: langcodes and language_data (Unicode CLDR, IANA's registry of BCP 47 subtags);
- tokenisers: sacreBLEU's own choice for a target language, and FLORES-200's SentencePiece model for scripts that do not
  separate words.

Entries that are already in the table are kept as they are, except for their NLLB code. The tests in
tests/config/test_languages.py check the table against the same packages.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from langcodes import Language, standardize_tag
from sacrebleu.metrics.bleu import BLEU
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

TABLE = Path(__file__).parents[1] / "resources/languages.yaml"
HEAD = """\
# The languages of FLORES-200 (NLLB) and WMT24++; `make languages` (tools/make_languages.py) adds missing ones.
# Key: BCP 47 tag, with a script or region only where the language has several. `iso639_3`, `script`: codes of the Aya
# suite and FLORES-200. `wmt24pp`: target code of WMT24++. `nllb`: code of NLLB-200. `length_ratio`: characters of a
# translation per character of English, the median of tools/measure_lengths.py. To add a language: docs/adding.md.
"""
ONLY_FLORES = ("arb_Latn", "min_Arab")
"""Varieties of FLORES-200 that have no code in NLLB's tokenizer."""
SCRIPTS = {"sat_Beng": "Olck"}
"""FLORES-200 has Santali in Ol Chiki; NLLB's code names another script."""
WMT24PP = [
    "ar_EG", "ar_SA", "bg_BG", "bn_IN", "ca_ES", "cs_CZ", "da_DK", "de_DE", "el_GR", "es_MX", "et_EE", "fa_IR",
    "fi_FI", "fil_PH", "fr_CA", "fr_FR", "gu_IN", "he_IL", "hi_IN", "hr_HR", "hu_HU", "id_ID", "is_IS", "it_IT",
    "ja_JP", "kn_IN", "ko_KR", "lt_LT", "lv_LV", "ml_IN", "mr_IN", "nl_NL", "no_NO", "pa_IN", "pl_PL", "pt_BR",
    "pt_PT", "ro_RO", "ru_RU", "sk_SK", "sl_SI", "sr_RS", "sv_SE", "sw_KE", "sw_TZ", "ta_IN", "te_IN", "th_TH",
    "tr_TR", "uk_UA", "ur_PK", "vi_VN", "zh_CN", "zh_TW", "zu_ZA",
]  # fmt: skip
OF_FLORES = {"fuv": "ff", "pbt": "ps", "quy": "qu"}
"""Macrolanguages of which FLORES-200 has one language, but not the one that CLDR regards as usual."""
OF_WMT = {"no": "nb"}
"""Keys of WMT24++'s macrolanguages: its Norwegian is Bokmål. (YAML would read an unquoted ``no`` as false.)"""
UNSPACED = {"Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
"""Scripts that do not separate words by spaces, for which sacreBLEU has no tokeniser of its own."""
RIGHT_TO_LEFT = {"Arab", "Hebr"}
SCRIPT_NAMES = {"Arab": "Arabic", "Latn": "Latin", "Deva": "Devanagari", "Tfng": "Tifinagh"}
NAMES = {
    "bn": "Bengali", "fa-AF": "Dari", "luo": "Luo", "zh-Hant": "Traditional Chinese", "pt-PT": "European Portuguese",
    "fr-CA": "Canadian French", "ff": "Nigerian Fulfulde", "qu": "Ayacucho Quechua",
}  # fmt: skip
"""English names, as models know them, where CLDR's are unusual or ambiguous."""


def flores_keys() -> dict[str, str]:
    """Return the key of each variety of FLORES-200: {code: tag}."""
    codes = [*FAIRSEQ_LANGUAGE_CODES, *ONLY_FLORES]
    own = {code: standardize_tag(code[:3]) for code in codes}
    macro = {code: standardize_tag(OF_FLORES.get(code[:3], code[:3]), macro=True) for code in codes}
    taken = set(own.values())
    # Latvian is lv rather than lvs, but Twi is not Akan: a language does not take another's tag
    bases = {code: macro[code] if macro[code] == own[code] or macro[code] not in taken else own[code] for code in codes}
    scripts = Counter(bases.values())
    keys = {}
    for code, base in bases.items():
        script = code.split("_")[1]
        usual = scripts[base] == 1 or Language.get(base).maximize().script == script
        keys[code] = base if usual else f"{base}-{script}"
    return keys


def wmt_keys() -> dict[str, tuple[str, str]]:
    """Return the keys of WMT24++'s languages: {key: (WMT24++'s code, key of the language)}.

    The variety of the language's most likely region (by CLDR) has the language's own key.
    """
    bases = {}
    for code in WMT24PP:
        language, region = code.split("_")
        tag = Language.get(f"zh-{region}").maximize()
        bases[code] = "zh-Hant" if language == "zh" and tag.script == "Hant" else OF_WMT.get(language, language)
    regions = Counter(bases.values())
    keys = {}
    for code, base in bases.items():
        region = code.split("_")[1]
        usual = regions[base] == 1 or Language.get(base).maximize().territory == region
        keys[base if usual else f"{base}-{region}"] = (code, base)
    return keys


def entry(key: str, code: str, several_scripts: bool, wmt: str | None) -> dict[str, Any]:
    """Return the entry of a language; ``code`` is that of FLORES-200, ``wmt`` that of WMT24++."""
    iso, script = code.split("_")
    language, script = Language.get(key), SCRIPTS.get(code, script)
    name = NAMES.get(key) or NAMES.get(language.language) or Language.get(language.language).language_name()
    if key not in NAMES and language.territory:
        name = f"{name} ({language.territory_name()})"
    if several_scripts and language.language != "zh":
        name = f"{name} ({SCRIPT_NAMES[script]} script)"
    endonym = language.autonym() if "-" in key else language.language_name(language)
    made: dict[str, Any] = {"name": name, "endonym": endonym, "iso639_3": iso, "script": script}
    if wmt:
        made["wmt24pp"] = wmt
    if code in FAIRSEQ_LANGUAGE_CODES:
        made["nllb"] = code
    if (tokenizer := bleu_tokenizer(key, script)) != "13a":
        made["bleu_tokenizer"] = tokenizer
    if script in RIGHT_TO_LEFT:
        made["direction"] = "rtl"
    return made


def bleu_tokenizer(key: str, script: str) -> str:
    """Return sacreBLEU's tokeniser of a language."""
    base = "zh" if script in ("Hans", "Hant") else key.split("-")[0]
    if chosen := BLEU._TOKENIZER_MAP.get(base):
        return chosen
    return "flores200" if script in UNSPACED else "13a"


def table(known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the table: the known entries first, then all others by key."""
    keys, wmt = flores_keys(), wmt_keys()
    codes = {key: code for code, key in keys.items()}
    scripts = Counter(key.split("-")[0] for key in codes if not Language.get(key).territory)
    found = {}
    for key in sorted({*codes, *wmt}):
        code = codes.get(key) or codes[wmt[key][1]]
        several = scripts[key.split("-")[0]] > 1 and not Language.get(key).territory
        found[key] = entry(key, code, several, wmt[key][0] if key in wmt else None)
    kept = {key: {**own, **{k: v for k, v in found.get(key, {}).items() if k == "nllb"}} for key, own in known.items()}
    return {**kept, **{key: own for key, own in found.items() if key not in kept}}


def main() -> None:
    """Rewrite the table."""
    known = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    lines = []
    for key, fields in table(known).items():
        shown = yaml.safe_dump(fields, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000)
        lines.append(f"{yaml.safe_dump(key).splitlines()[0]}: {shown}")
    TABLE.write_text(HEAD + "".join(lines), encoding="utf-8")
    print(f"{TABLE.name}: {len(lines)} languages", file=sys.stderr)


if __name__ == "__main__":
    main()
