# Evaluation: win rates of the policies, biases of the judge, and agreement of two judges.


localrules:
    tabulate_win_rates,


IMPORTED_BY_RULE["tabulate_win_rates"] = imported_for_languages


rule tabulate_win_rates:
    input:
        verdicts=expand(
            R / "verdicts/{policy}/{language}.parquet",
            policy=PLAN.policies,
            language=CONFIG.all_languages,
        ),
        answers=expand(
            R / "answers/{policy}/{language}.parquet",
            policy=PLAN.answerers,
            language=CONFIG.all_languages,
        ),
        settings=R / "settings/verdicts.json",
    output:
        **({"seeds": R / "tables/seeds.csv"} if len(CONFIG.training.all_seeds) > 1 else {}),
        win_rates=R / "tables/win_rates.csv",
        win_rates_by_language=R / "tables/win_rates_by_language.csv",
        position_bias=R / "tables/position_bias.csv",
        estimates=R / "tables/estimates.csv",
        self_agreement=R / "tables/self_agreement.csv",
        improvement_by_language=R / "tables/improvement_by_language.csv",
        length_bias=R / "tables/length_bias.csv",
        wrong_languages=R / "tables/wrong_languages.csv",
        answer_flags=R / "tables/answer_flags.csv",
    log:
        R / "logs/tabulate_win_rates.log",
    conda:
        "../environment.yml"
    params:
        mode=CONFIG.judging.counting,
        runs=CONFIG.judging.runs,
        seed=CONFIG.judging.seed,
        base="base",
        trained=PLAN.trained_names,
        languages=CONFIG.all_languages,
    message:
        "Counting wins, losses and ties, and measuring biases of the judge"
    script:
        "../workflow/scripts/tabulate_win_rates.py"


if CONFIG.judging.second:

    localrules:
        tabulate_judge_agreement,

    rule tabulate_judge_agreement:
        input:
            first=expand(
                R / "verdicts/{policy}/{language}.parquet",
                policy=PLAN.policies,
                language=CONFIG.all_languages,
            ),
            second=expand(
                R / "verdicts/second/{policy}/{language}.parquet",
                policy=PLAN.policies,
                language=CONFIG.all_languages,
            ),
            settings=R / "settings/verdicts.json",
        output:
            R / "tables/judge_agreement.csv",
        log:
            R / "logs/tabulate_judge_agreement.log",
        conda:
            "../environment.yml"
        params:
            languages=CONFIG.all_languages,
            seed=CONFIG.judging.seed,
            trained=PLAN.trained_names,
        message:
            "Comparing the two judges"
        script:
            "../workflow/scripts/tabulate_judge_agreement.py"
