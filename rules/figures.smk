# Figures, each as SVG and PNG with its data as CSV.


localrules:
    plot_results,
    plot_training,
    plot_translation_heatmaps,


for name in ("plot_results", "plot_training", "plot_translation_heatmaps"):
    IMPORTED_BY_RULE[name] = imported_for_report


rule plot_results:
    input:
        lengths=R / "tables/lengths.csv",
        diagnostics=R / "tables/diagnostics.csv",
        win_rates=R / "tables/win_rates.csv",
        win_rates_by_language=R / "tables/win_rates_by_language.csv",
        improvement_by_language=R / "tables/improvement_by_language.csv",
        style=given_file(CONFIG.figures.style),
    output:
        **figure("lengths", "Data sets", "Lengths"),
        **figure("diagnostics", "Data sets", "Flags of the diagnostics"),
        **figure("win_rates", "Win rates", "Win, tie and loss"),
        **figure("win_rates_by_language", "Win rates", "Win minus loss by language"),
        **figure("improvement", "Win rates", "Difference to the base"),
        **figure("forest", "Win rates", "Difference to the base, by opponent"),
    log:
        R / "logs/plot_results.log",
    conda:
        "../environment.yml"
    params:
        languages={code: LANGUAGES[code].name for code in CONFIG.all_languages},
    message:
        "Plotting the data sets, win rates and differences from the base"
    script:
        "../workflow/scripts/plot_results.py"


rule plot_training:
    input:
        logs=expand(R / "policies/{policy}/log.csv", policy=PLAN.trained),
        settings=R / "settings/tables.json",
        style=given_file(CONFIG.figures.style),
    output:
        **figure("training", "Training", "Training curves"),
    log:
        R / "logs/plot_training.log",
    conda:
        "../environment.yml"
    params:
        trained=PLAN.trained_names,
        batch_size=CONFIG.training.batch_size,
        loss=CONFIG.training.loss,
    message:
        "Plotting the training curves"
    script:
        "../workflow/scripts/plot_training.py"


rule plot_translation_heatmaps:
    input:
        scores=R / "tables/translation_scores.csv",
        style=given_file(CONFIG.figures.style),
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
        "Plotting heatmaps of the translation scores"
    script:
        "../workflow/scripts/plot_translation_heatmaps.py"
