# Health checks: whether the numbers of a run can be believed.


localrules:
    tabulate_health,


IMPORTED_BY_RULE["tabulate_health"] = imported_for_report


rule tabulate_health:
    input:
        verdicts=rules.tabulate_win_rates.input.verdicts,
        sanity=[f"{R}/requests/judge/{stem}.parquet" for stem in PLAN.sanity_files],
        completions=completions_of("judge", CONFIG.judging.judge),
        answers=rules.tabulate_win_rates.input.answers,
        length_bias=R / "tables/length_bias.csv",
        wrong_languages=R / "tables/wrong_languages.csv",
        answer_flags=R / "tables/answer_flags.csv",
        improvement=R / "tables/improvement_by_language.csv",
        funnel=R / "tables/funnel.csv",
        ratings=R / "tables/ratings.csv" if PLAN.rated() else [],
        judge_agreement=R / "tables/judge_agreement.csv" if CONFIG.judging.second else [],
        prompts=expand(R / "prompts/{language}.parquet", language=CONFIG.all_languages),
        datasets=rules.tabulate_datasets.input.datasets,
        diagnostics=rules.tabulate_datasets.input.diagnostics,
        training_logs=expand(R / "policies/{policy}/log.csv", policy=PLAN.trained),
        settings=[R / "settings/judge.json", R / "settings/tables.json"],
    output:
        health=R / "tables/health.csv",
        contamination=R / "tables/contamination.csv",
        sanity=R / "verdicts/sanity.parquet",
    log:
        R / "logs/tabulate_health.log",
    conda:
        "../environment.yml"
    params:
        parser=CONFIG.judging.parser,
        trained=PLAN.trained_names,
        training_loss=CONFIG.training.loss,
        limits=CONFIG.health.model_dump(exclude={"sanity_prompts"}),
    message:
        "Checking whether the numbers can be believed"
    script:
        "../workflow/scripts/tabulate_health.py"
