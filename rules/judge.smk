# Verdicts on every policy against every opponent, in both orders.


localrules:
    ask_verdicts,
    collect_verdicts,
    ask_sanity,


rule ask_verdicts:
    input:
        prompts=R / "prompts/{language}.parquet",
        policy=R / "answers/{policy}/{language}.parquet",
        opponents=expand(
            R / "answers/{opponent}/{{language}}.parquet",
            opponent=sorted(set(CONFIG.evaluation.opponents)),
        ),
        template=given_file(CONFIG.judging.prompt),
        checkpoint=identity_of(CONFIG.judging.judge),
        settings=R / "settings/judge.json",
    output:
        R / "requests/judge/{policy}/{language}.parquet",
    log:
        R / "logs/ask_verdicts/{policy}.{language}.log",
    conda:
        "../environment.yml"
    params:
        request_settings=PLAN.request_settings_of_judge(),
        opponents=sorted(set(CONFIG.evaluation.opponents)),
        sampled=PLAN.sampled_runs(),
        language_name=lambda wc: LANGUAGES[wc.language].name,
    message:
        "Writing requests to the judge about {wildcards.policy} in {wildcards.language}"
    script:
        "../workflow/scripts/ask_verdicts.py"


rule collect_verdicts:
    input:
        requests=R / "requests/judge/{policy}/{language}.parquet",
        completions=completions_of("judge", CONFIG.judging.judge),
        settings=R / "settings/judge.json",
    output:
        R / "verdicts/{policy}/{language}.parquet",
    log:
        R / "logs/collect_verdicts/{policy}.{language}.log",
    conda:
        "../environment.yml"
    params:
        parser=CONFIG.judging.parser,
    message:
        "Collecting the verdicts on {wildcards.policy} in {wildcards.language}"
    script:
        "../workflow/scripts/collect_verdicts.py"


rule ask_sanity:
    input:
        prompts=expand(R / "prompts/{language}.parquet", language=CONFIG.all_languages),
        opponents=expand(
            R / "answers/{opponent}/{language}.parquet",
            opponent=sorted(set(CONFIG.evaluation.opponents)),
            language=CONFIG.all_languages,
        ),
        template=given_file(CONFIG.judging.prompt),
        checkpoint=identity_of(CONFIG.judging.judge),
        settings=R / "settings/judge.json",
    output:
        R / "requests/judge/sanity.parquet",
    log:
        R / "logs/ask_sanity.log",
    conda:
        "../environment.yml"
    params:
        request_settings=PLAN.request_settings_of_judge(),
        languages={code: LANGUAGES[code].name for code in CONFIG.all_languages},
        number=CONFIG.health.sanity_prompts,
        seed=CONFIG.judging.seed,
    message:
        "Writing requests to the judge with known verdicts (the sanity set)"
    script:
        "../workflow/scripts/ask_sanity.py"


if CONFIG.judging.second:

    localrules:
        ask_second_judge,
        collect_second_verdicts,

    rule ask_second_judge:
        input:
            requests=R / "requests/judge/{policy}/{language}.parquet",
            checkpoint=identity_of(CONFIG.judging.second.judge),
            settings=R / "settings/second_judge.json",
        output:
            R / "requests/judge/second/{policy}/{language}.parquet",
        log:
            R / "logs/ask_second_judge/{policy}.{language}.log",
        conda:
            "../environment.yml"
        params:
            request_settings=PLAN.request_settings_of_judge(second=True),
            share=CONFIG.judging.second.share,
            seed=CONFIG.judging.seed,
        message:
            "Writing requests to the second judge about {wildcards.policy} in {wildcards.language}"
        script:
            "../workflow/scripts/ask_second_judge.py"

    rule collect_second_verdicts:
        input:
            requests=R / "requests/judge/second/{policy}/{language}.parquet",
            completions=completions_of("judge", CONFIG.judging.second.judge),
            settings=R / "settings/second_judge.json",
        output:
            R / "verdicts/second/{policy}/{language}.parquet",
        log:
            R / "logs/collect_second_verdicts/{policy}.{language}.log",
        conda:
            "../environment.yml"
        params:
            parser=CONFIG.judging.second.parser,
        message:
            "Collecting the second judge's verdicts on {wildcards.policy} in {wildcards.language}"
        script:
            "../workflow/scripts/collect_verdicts.py"
