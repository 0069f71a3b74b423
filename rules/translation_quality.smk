# Translation quality: BLEU, chrF++ and COMET scores of the translators on WMT24++, and ratings by COMETKiwi.


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


if CONFIG.rating.comet_kiwi:

    rule rate_by_comet:
        input:
            pairs=R / "pairs.parquet",
            translations=R / "translations/pairs/{field}/{model}/{language}.parquet",
            checkpoint=[local(CONFIG.rating.comet_kiwi)] if CONFIG.rating.comet_kiwi.endswith(".ckpt") else [],
            settings=R / "settings/rating.json",
        output:
            R / "ratings/{field}/{model}/{language}.parquet",
        log:
            R / "logs/rate_by_comet/{field}.{model}.{language}.log",
        conda:
            "../environment.yml"
        threads: 2
        resources:
            mem_mb=lambda wc, attempt: attempt * 16_000,
        params:
            checkpoint=CONFIG.rating.comet_kiwi,
        message:
            "Rating {wildcards.field} in {wildcards.language} by {wildcards.model} with COMETKiwi"
        script:
            "../workflow/scripts/rate_by_comet.py"
