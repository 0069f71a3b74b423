# Data sets: one per architecture, in all languages, each with a card.


localrules:
    build_dataset,
    write_card,


rule build_dataset:
    input:
        pairs=R + "/pairs.parquet",
        texts=lambda wc: PLAN.dataset_inputs(wc.architecture),
    output:
        dataset=R + "/datasets/{architecture}.parquet",
        dropped=R + "/datasets/{architecture}.dropped.parquet",
    log:
        R + "/logs/build_dataset/{architecture}.log",
    params:
        fields=lambda wc: PLAN.dataset_fields(wc.architecture),
    message:
        "Building data set {wildcards.architecture}"
    script:
        "../workflow/scripts/build_dataset.py"


rule write_card:
    input:
        dataset=R + "/datasets/{architecture}.parquet",
        dropped=R + "/datasets/{architecture}.dropped.parquet",
    output:
        card=R + "/datasets/{architecture}/README.md",
        data=R + "/datasets/{architecture}/train.parquet",
    log:
        R + "/logs/write_card/{architecture}.log",
    params:
        architecture=lambda wc: CONFIG.architectures[wc.architecture].model_dump(),
        licenses=lambda wc: PLAN.licenses(wc.architecture),
        title=CONFIG.report.title,
        languages={code: LANGUAGES[code].name for code in CONFIG.all_languages},
    message:
        "Writing the card of data set {wildcards.architecture}"
    script:
        "../workflow/scripts/write_card.py"
