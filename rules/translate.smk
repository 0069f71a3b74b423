# Translation of the base set's fields and of WMT24++ segments, and ratings of the former.


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


if PLAN.rated() and CONFIG.rating.rater:

    localrules:
        ask_ratings,
        collect_ratings,

    rule ask_ratings:
        input:
            pairs=R / "pairs.parquet",
            translations=R / "translations/pairs/{field}/{model}/{language}.parquet",
            template=given_file(CONFIG.rating.prompt),
            checkpoint=identity_of(CONFIG.rating.rater),
            settings=R / "settings/rating.json",
        output:
            R / "requests/rate/{field}/{model}/{language}.parquet",
        log:
            R / "logs/ask_ratings/{field}.{model}.{language}.log",
        conda:
            "../environment.yml"
        params:
            request_settings=PLAN.request_settings_of_rater(CONFIG.rating.rater),
            language_name=lambda wc: LANGUAGES[wc.language].name,
        message:
            "Writing requests to the rater about {wildcards.field} in {wildcards.language} by {wildcards.model}"
        script:
            "../workflow/scripts/ask_ratings.py"

    rule collect_ratings:
        input:
            requests=R / "requests/rate/{field}/{model}/{language}.parquet",
            completions=completions_of("rate", CONFIG.rating.rater),
            settings=R / "settings/rating.json",
        output:
            R / "ratings/{field}/{model}/{language}.parquet",
        log:
            R / "logs/collect_ratings/{field}.{model}.{language}.log",
        conda:
            "../environment.yml"
        params:
            parser=CONFIG.rating.parser,
        message:
            "Collecting the ratings of {wildcards.field} in {wildcards.language} by {wildcards.model}"
        script:
            "../workflow/scripts/collect_ratings.py"
