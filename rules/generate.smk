# Generation: responses to the prompts of the base set, and answers of policies and opponents to the evaluation prompts.


localrules:
    ask_responses,
    collect_responses,
    ask_answers,
    collect_answers,


rule ask_responses:
    input:
        prompts=lambda wc: (
            f"{R}/pairs.parquet"
            if wc.origin == "english"
            else (
                PLAN.native_file(wc.origin, wc.language)
                if wc.origin in CONFIG.native
                else f"{R}/translations/pairs/prompt/{wc.origin}/{wc.language}.parquet"
            )
        ),
        checkpoint=lambda wc: identity_of(model_checkpoint(wc.model, wc.language)),
        settings=R / "settings/generate.{model}.json",
    output:
        R / "requests/generate/{origin}/{model}/{language}.parquet",
    log:
        R / "logs/ask_responses/{origin}.{model}.{language}.log",
    conda:
        "../environment.yml"
    params:
        request_settings=lambda wc: PLAN.request_settings_of_model(wc.model, wc.language),
    message:
        "Writing requests to {wildcards.model} for responses in {wildcards.language}"
    script:
        "../workflow/scripts/ask_responses.py"


rule collect_responses:
    input:
        requests=R / "requests/generate/{origin}/{model}/{language}.parquet",
        completions=lambda wc: completions_of("generate", model_checkpoint(wc.model, wc.language)),
    output:
        R / "responses/{origin}/{model}/{language}.parquet",
    log:
        R / "logs/collect_responses/{origin}.{model}.{language}.log",
    conda:
        "../environment.yml"
    message:
        "Collecting responses in {wildcards.language} by {wildcards.model}"
    script:
        "../workflow/scripts/collect_texts.py"


rule ask_answers:
    input:
        prompts=R / "prompts/{language}.parquet",
        checkpoint=lambda wc: policy_identity(wc.policy),
        settings=lambda wc: [f"{R}/settings/answer.json"] if wc.policy in PLAN.trained else [],
    output:
        R / "requests/answer/{policy}/{language}.parquet",
    log:
        R / "logs/ask_answers/{policy}.{language}.log",
    conda:
        "../environment.yml"
    params:
        request_settings=lambda wc: PLAN.request_settings_of_policy(wc.policy),
    message:
        "Writing requests to {wildcards.policy} for answers in {wildcards.language}"
    script:
        "../workflow/scripts/ask_responses.py"


rule collect_answers:
    input:
        requests=R / "requests/answer/{policy}/{language}.parquet",
        completions=completions_of("answer", "{policy}"),
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
