# WMT24++: how good the translators are.


localrules:
    score_translations,
    plot_translation_heatmaps,


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


rule plot_translation_heatmaps:
    input:
        scores=R / "tables/translation_scores.csv",
        style=local_file(CONFIG.figures.style),
    output:
        **figure("bleu", "Translation quality", "BLEU"),
        **figure("chrf", "Translation quality", "chrF++"),
    log:
        R / "logs/plot_translation_heatmaps.log",
    conda:
        "../environment.yml"
    params:
        languages={code: LANGUAGES[code].name for code in PLAN.all_wmt_languages},
    message:
        "Drawing the heatmaps of translation scores"
    script:
        "../workflow/scripts/plot_translation_heatmaps.py"
