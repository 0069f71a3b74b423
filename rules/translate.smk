# Translation of the base set's fields and of WMT24++ segments.


localrules:
    ask_translations,
    collect_translations,


rule ask_translations:
    input:
        texts=lambda wc: f"{R}/pairs.parquet" if wc.corpus == "pairs" else f"{R}/wmt/{wc.language}.parquet",
        checkpoint=lambda wc: identity_of(model_checkpoint(wc.model, wc.language)),
    output:
        R / "requests/translate/{corpus}/{field}/{model}/{language}.parquet",
    log:
        R / "logs/ask_translations/{corpus}.{field}.{model}.{language}.log",
    conda:
        "../environment.yml"
    params:
        request_settings=lambda wc: PLAN.request_settings_of_model(wc.model, wc.language, translate=True),
        prompt=lambda wc: CONFIG.models[wc.model].prompt,
        unit=lambda wc: CONFIG.models[wc.model].split,
        language_name=lambda wc: LANGUAGES[wc.language].name,
    message:
        "Writing requests to {wildcards.model} for {wildcards.corpus} {wildcards.field} in {wildcards.language}"
    script:
        "../workflow/scripts/ask_translations.py"


rule collect_translations:
    input:
        requests=R / "requests/translate/{corpus}/{field}/{model}/{language}.parquet",
        completions=lambda wc: completions_of("translate", model_checkpoint(wc.model, wc.language)),
    output:
        R / "translations/{corpus}/{field}/{model}/{language}.parquet",
    log:
        R / "logs/collect_translations/{corpus}.{field}.{model}.{language}.log",
    conda:
        "../environment.yml"
    message:
        "Collecting {wildcards.corpus} {wildcards.field} in {wildcards.language} by {wildcards.model}"
    script:
        "../workflow/scripts/collect_texts.py"
