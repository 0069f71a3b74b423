# Verdicts: every policy against every opponent in both orders, and the tables made from them alone.


localrules:
    ask_verdicts,
    collect_verdicts,


rule ask_verdicts:
    input:
        prompts=R / "prompts/{language}.parquet",
        policy=R / "answers/{policy}/{language}.parquet",
        opponents=expand(
            R / "answers/{opponent}/{{language}}.parquet",
            opponent=sorted(set(CONFIG.evaluation.opponents)),
        ),
        template=local_file(CONFIG.judging.prompt),
        checkpoint=identity_of(CONFIG.judging.judge),
        settings=R / "settings/judge.json",
    output:
        R / "requests/judge/{policy}/{language}.parquet",
    log:
        R / "logs/ask_verdicts/{policy}.{language}.log",
    conda:
        "../environment.yml"
    params:
        asked=PLAN.asked_of_judge(),
        opponents=sorted(set(CONFIG.evaluation.opponents)),
        language_name=lambda wc: LANGUAGES[wc.language].name,
    message:
        "Asking the judge about {wildcards.policy} in {wildcards.language}"
    script:
        "../workflow/scripts/ask_verdicts.py"


rule collect_verdicts:
    input:
        requests=R / "requests/judge/{policy}/{language}.parquet",
        completions=completions_of("judge", CONFIG.judging.judge),
    output:
        R / "verdicts/{policy}/{language}.parquet",
    log:
        R / "logs/collect_verdicts/{policy}.{language}.log",
    conda:
        "../environment.yml"
    message:
        "Collecting the verdicts on {wildcards.policy} in {wildcards.language}"
    script:
        "../workflow/scripts/collect_verdicts.py"
