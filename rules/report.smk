# The report: HTML pages with every table and figure.


localrules:
    build_report,


IMPORTED_BY_RULE["build_report"] = imported_for_report


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
        answer_flags=R / "tables/answer_flags.csv",
        translation_scores=R / "tables/translation_scores.csv",
        translation_comparisons=R / "tables/translation_comparisons.csv",
        funnel=R / "tables/funnel.csv",
        dataset_counts=R / "tables/dataset_counts.csv",
        diagnostics=R / "tables/diagnostics.csv",
        ratings=R / "tables/ratings.csv" if PLAN.rated() else [],
        judge_agreement=R / "tables/judge_agreement.csv" if CONFIG.judging.second else [],
        seeds=R / "tables/seeds.csv" if len(CONFIG.training.all_seeds) > 1 else [],
        health=R / "tables/health.csv",
        cost=R / "tables/cost.csv",
        estimate=R / "tables/estimate.csv",
        rules_svg=given_file("docs/pictures/rulegraph.svg"),
        captions=[given_file(f"docs/captions/{name}.rst") for name in (*FIGURES, "rules")],
        pairs=R / "pairs.parquet",
        native=PLAN.all_native_files(),
        datasets=rules.tabulate_datasets.input.datasets,
        dropped=rules.tabulate_datasets.input.datasets_dropped,
        pair_diagnostics=rules.tabulate_datasets.input.diagnostics,
        prompts=expand(R / "prompts/{language}.parquet", language=CONFIG.all_languages),
        answers=rules.tabulate_win_rates.input.answers,
        verdicts=rules.tabulate_win_rates.input.verdicts,
        sanity=R / "verdicts/sanity.parquet",
        cards=expand(R / "datasets/{architecture}/README.md", architecture=PLAN.architectures),
        policies=expand(R / "policies/{policy}/policy.json", policy=PLAN.trained),
        training_logs=expand(R / "policies/{policy}/log.csv", policy=PLAN.trained),
        paper=(
            [given_file(f"resources/paper/{name}.csv") for name in ("win_rates", "bleu", "chrf")]
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
        shown_pairs=CONFIG.report.shown_pairs,
        shown_verdicts=CONFIG.report.shown_verdicts,
        trained=PLAN.trained_names,
        languages={
            code: LANGUAGES[code].model_dump(include={"name", "endonym", "direction"}) for code in CONFIG.all_languages
        },
        config=lambda wc: CONFIG.shown(),
        command=lambda wc: "snakemake " + " ".join(f"--configfile {os.path.relpath(path)}" for path in config_files()),
    message:
        "Writing the report"
    script:
        "../workflow/scripts/build_report.py"
