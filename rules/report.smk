# Tables, figures and the report.


localrules:
    tabulate_win_rates,
    tabulate_datasets,
    tabulate_cost,
    tabulate_estimate,
    tabulate_biases,
    plot_win_rates,
    plot_datasets,
    build_report,


rule tabulate_win_rates:
    input:
        verdicts=expand(
            R / "verdicts/{policy}/{language}.parquet",
            policy=PLAN.policies,
            language=CONFIG.all_languages,
        ),
        settings=R / "settings/verdicts.json",
    output:
        win_rates=R / "tables/win_rates.csv",
        win_rates_by_language=R / "tables/win_rates_by_language.csv",
        position_bias=R / "tables/position_bias.csv",
        estimates=R / "tables/estimates.csv",
        self_agreement=R / "tables/self_agreement.csv",
        improvement_by_language=R / "tables/improvement_by_language.csv",
    log:
        R / "logs/tabulate_win_rates.log",
    conda:
        "../environment.yml"
    params:
        mode=CONFIG.judging.counting,
        runs=CONFIG.judging.runs,
        seed=CONFIG.judging.seed,
        base="base",
        languages=CONFIG.all_languages,
    message:
        "Counting wins, losses and ties"
    script:
        "../workflow/scripts/tabulate_win_rates.py"


rule tabulate_biases:
    input:
        verdicts=rules.tabulate_win_rates.input.verdicts,
        answers=expand(
            R / "answers/{policy}/{language}.parquet",
            policy=[*PLAN.policies, *sorted(set(CONFIG.evaluation.opponents))],
            language=CONFIG.all_languages,
        ),
        settings=R / "settings/verdicts.json",
    output:
        length_bias=R / "tables/length_bias.csv",
        wrong_languages=R / "tables/wrong_languages.csv",
    log:
        R / "logs/tabulate_biases.log",
    conda:
        "../environment.yml"
    params:
        mode=CONFIG.judging.counting,
        runs=CONFIG.judging.runs,
        seed=CONFIG.judging.seed,
        languages=CONFIG.all_languages,
    message:
        "Looking for what the judge prefers beside the better answer"
    script:
        "../workflow/scripts/tabulate_biases.py"


rule tabulate_datasets:
    input:
        sources=expand(R / "sources/{source}.parquet", source=sorted(CONFIG.sources)),
        sources_dropped=expand(R / "sources/{source}.dropped.parquet", source=sorted(CONFIG.sources)),
        pairs=R / "pairs.parquet",
        pairs_dropped=R / "pairs.dropped.parquet",
        datasets=expand(R / "datasets/{architecture}.parquet", architecture=PLAN.architectures),
        datasets_dropped=expand(R / "datasets/{architecture}.dropped.parquet", architecture=PLAN.architectures),
        diagnostics=expand(R / "diagnostics/{architecture}.parquet", architecture=PLAN.architectures),
        settings=R / "settings/tables.json",
    output:
        funnel=R / "tables/funnel.csv",
        dataset_counts=R / "tables/dataset_counts.csv",
        diagnostics=R / "tables/diagnostics.csv",
        lengths=R / "tables/lengths.csv",
    log:
        R / "logs/tabulate_datasets.log",
    conda:
        "../environment.yml"
    params:
        languages=CONFIG.all_languages,
    message:
        "Counting the preference pairs, their lengths and faults"
    script:
        "../workflow/scripts/tabulate_datasets.py"


rule tabulate_cost:
    input:
        costs=[f"{R}/completions/{task}/{name}.cost.json" for task, name in PLAN.batches()],
    output:
        R / "tables/cost.csv",
    log:
        R / "logs/tabulate_cost.log",
    conda:
        "../environment.yml"
    message:
        "Adding up what the batches cost"
    script:
        "../workflow/scripts/tabulate_cost.py"


rule tabulate_estimate:
    input:
        costs=[f"{R}/completions/{task}/{name}.cost.json" for task, name in PLAN.batches()],
    output:
        R / "tables/estimate.csv",
    log:
        R / "logs/tabulate_estimate.log",
    conda:
        "../environment.yml"
    message:
        "Setting the estimate beside what the batches took"
    script:
        "../workflow/scripts/tabulate_estimate.py"


rule plot_win_rates:
    input:
        win_rates=R / "tables/win_rates.csv",
        win_rates_by_language=R / "tables/win_rates_by_language.csv",
        improvement_by_language=R / "tables/improvement_by_language.csv",
        style=local_file(CONFIG.figures.style),
    output:
        **figure("win_rates", "Win rates", "Win, tie and loss"),
        **figure("win_rates_by_language", "Win rates", "Win minus loss by language"),
        **figure("improvement", "Win rates", "Difference to the base"),
        **figure("forest", "Win rates", "Difference to the base, by opponent"),
    log:
        R / "logs/plot_win_rates.log",
    conda:
        "../environment.yml"
    params:
        languages={code: LANGUAGES[code].name for code in CONFIG.all_languages},
    message:
        "Drawing win rates and differences to the base"
    script:
        "../workflow/scripts/plot_win_rates.py"


rule plot_datasets:
    input:
        lengths=R / "tables/lengths.csv",
        diagnostics=R / "tables/diagnostics.csv",
        style=local_file(CONFIG.figures.style),
    output:
        **figure("lengths", "Data sets", "Lengths"),
        **figure("diagnostics", "Data sets", "Flags of the diagnostics"),
    log:
        R / "logs/plot_datasets.log",
    conda:
        "../environment.yml"
    params:
        languages={code: LANGUAGES[code].name for code in CONFIG.all_languages},
    message:
        "Drawing lengths and flags of the pairs"
    script:
        "../workflow/scripts/plot_datasets.py"


rule build_report:
    input:
        **{f"{name}_{kind}": R / f"figures/{name}.{kind}" for name in FIGURES for kind in KINDS},
        win_rates=R / "tables/win_rates.csv",
        win_rates_by_language=R / "tables/win_rates_by_language.csv",
        improvement_by_language=R / "tables/improvement_by_language.csv",
        position_bias=R / "tables/position_bias.csv",
        estimates=R / "tables/estimates.csv",
        self_agreement=R / "tables/self_agreement.csv",
        length_bias=R / "tables/length_bias.csv",
        wrong_languages=R / "tables/wrong_languages.csv",
        translation_scores=R / "tables/translation_scores.csv",
        translation_comparisons=R / "tables/translation_comparisons.csv",
        funnel=R / "tables/funnel.csv",
        dataset_counts=R / "tables/dataset_counts.csv",
        diagnostics=R / "tables/diagnostics.csv",
        judge_agreement=R / "tables/judge_agreement.csv" if CONFIG.judging.second else [],
        cost=R / "tables/cost.csv",
        estimate=R / "tables/estimate.csv",
        rules_svg=local_file("docs/pictures/rulegraph.svg"),
        captions=[local_file(f"docs/captions/{name}.rst") for name in (*FIGURES, "rules")],
        pairs=R / "pairs.parquet",
        datasets=rules.tabulate_datasets.input.datasets,
        dropped=rules.tabulate_datasets.input.datasets_dropped,
        pair_diagnostics=rules.tabulate_datasets.input.diagnostics,
        prompts=expand(R / "prompts/{language}.parquet", language=CONFIG.all_languages),
        answers=rules.tabulate_biases.input.answers,
        verdicts=rules.tabulate_win_rates.input.verdicts,
        cards=expand(R / "datasets/{architecture}/README.md", architecture=PLAN.architectures),
        training_logs=expand(R / "policies/{architecture}/log.csv", architecture=PLAN.architectures),
        paper=(
            [local_file(f"resources/paper/{name}.csv") for name in ("win_rates", "bleu", "chrf")]
            if CONFIG.report.paper
            else []
        ),
        settings=R / "settings/report.json",
    output:
        index=R / "report/index.html",
        pages=[R / f"report/{page.stem}.html" for page in PAGES if page.stem != "index"],
        figures=[R / f"report/figures/{name}.{kind}" for name in FIGURES for kind in KINDS],
        data=directory(R / "report/data"),
    log:
        R / "logs/build_report.log",
    conda:
        "../environment.yml"
    params:
        title=CONFIG.report.title,
        subtitle=CONFIG.report.subtitle,
        mode=CONFIG.judging.mode,
        languages={
            code: LANGUAGES[code].model_dump(include={"name", "endonym", "direction"}) for code in CONFIG.all_languages
        },
        config=lambda wc: CONFIG.shown(),
        command=lambda wc: "snakemake "
        + " ".join(f"--configfile {os.path.relpath(path)}" for path in workflow.configfiles),
    message:
        "Writing the report"
    script:
        "../workflow/scripts/build_report.py"
