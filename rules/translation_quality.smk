# Translation quality: BLEU, chrF++ and COMET scores of the translators on WMT24++.


localrules:
    score_translations,


rule score_translations:
    input:
        segments=expand(R / "wmt/{language}.parquet", language=PLAN.all_wmt_languages),
        translations=expand(
            R / "translations/{stem}.parquet",
            stem=[file.stem for file in PLAN.wmt_translations()],
        ),
        settings=R / "settings/wmt.json",
    output:
        scores=R / "tables/translation_scores.csv",
        comparisons=R / "tables/translation_comparisons.csv",
    log:
        R / "logs/score_translations.log",
    conda:
        "../environment.yml"
    threads: 2
    params:
        tokenizers={code: LANGUAGES[code].bleu_tokenizer for code in PLAN.all_wmt_languages},
        comet=CONFIG.wmt.comet,
    message:
        "Scoring the translations of WMT24++"
    script:
        "../workflow/scripts/score_translations.py"
