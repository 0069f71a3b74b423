# Generation: responses to the prompts of the base set, in each language.


localrules:
    ask_responses,
    collect_responses,


rule ask_responses:
    input:
        prompts=lambda wc: (
            f"{R}/pairs.parquet"
            if wc.origin == "english"
            else f"{R}/translations/pairs/prompt/{wc.origin}/{wc.language}.parquet"
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
        asked=lambda wc: PLAN.asked_of_model(wc.model, wc.language),
    message:
        "Asking {wildcards.model} for responses in {wildcards.language}"
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
