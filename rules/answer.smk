# Answers: policies and opponents answer the evaluation prompts.


localrules:
    ask_answers,
    collect_answers,


rule ask_answers:
    input:
        prompts=R / "prompts/{language}.parquet",
        checkpoint=lambda wc: policy_identity(wc.policy),
        settings=lambda wc: [f"{R}/settings/answer.json"] if wc.policy in CONFIG.architectures else [],
    output:
        R / "requests/answer/{policy}/{language}.parquet",
    log:
        R / "logs/ask_answers/{policy}.{language}.log",
    conda:
        "../environment.yml"
    params:
        asked=lambda wc: PLAN.asked_of_policy(wc.policy),
    message:
        "Asking {wildcards.policy} for answers in {wildcards.language}"
    script:
        "../workflow/scripts/ask_responses.py"


rule collect_answers:
    input:
        requests=R / "requests/answer/{policy}/{language}.parquet",
        completions=lambda wc: completions_of("answer", wc.policy),
    output:
        R / "answers/{policy}/{language}.parquet",
    log:
        R / "logs/collect_answers/{policy}.{language}.log",
    conda:
        "../environment.yml"
    params:
        may_be_empty=True,
    message:
        "Collecting answers in {wildcards.language} by {wildcards.policy}"
    script:
        "../workflow/scripts/collect_texts.py"
