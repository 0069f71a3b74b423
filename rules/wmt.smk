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
    message:
        "Scoring the translations of WMT24++"
    script:
        "../workflow/scripts/score_translations.py"


rule plot_translation_heatmaps:
    input:
        scores=R / "tables/translation_scores.csv",
    output:
        bleu_svg=report(R / "figures/bleu.svg", category="Translation quality", caption="../docs/captions/bleu.rst"),
        bleu_png=R / "figures/bleu.png",
        chrf_svg=report(R / "figures/chrf.svg", category="Translation quality", caption="../docs/captions/chrf.rst"),
        chrf_png=R / "figures/chrf.png",
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
