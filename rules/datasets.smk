# Data sets: one per architecture, with all languages and a card.


localrules:
    build_dataset,
    write_card,
    tabulate_datasets,


# With diagnostics.align the data sets are built in a folder of their own, and their common pairs are kept.
DATASETS = R / ("datasets/unaligned" if CONFIG.diagnostics.align else "datasets")


rule build_dataset:
    input:
        pairs=R / "pairs.parquet",
        texts=lambda wc: PLAN.dataset_inputs(wc.architecture),
        diagnostics=lambda wc: [f"{R}/diagnostics/{wc.architecture}.parquet"] if PLAN.drops_by_diagnostics else [],
        settings=R / "settings/dataset.{architecture}.json",
    output:
        dataset=DATASETS / "{architecture}.parquet",
        dropped=DATASETS / "{architecture}.dropped.parquet",
    log:
        R / "logs/build_dataset/{architecture}.log",
    conda:
        "../environment.yml"
    params:
        fields=lambda wc: PLAN.dataset_fields(wc.architecture),
        drop=CONFIG.dropped_flags,
    message:
        "Building data set {wildcards.architecture}"
    script:
        "../workflow/scripts/build_dataset.py"


if CONFIG.diagnostics.align:

    localrules:
        align_dataset,

    rule align_dataset:
        input:
            pairs=R / "pairs.parquet",
            datasets=expand(DATASETS / "{architecture}.parquet", architecture=PLAN.architectures),
            dropped=DATASETS / "{architecture}.dropped.parquet",
        output:
            dataset=R / "datasets/{architecture}.parquet",
            dropped=R / "datasets/{architecture}.dropped.parquet",
        log:
            R / "logs/align_dataset/{architecture}.log",
        conda:
            "../environment.yml"
        message:
            "Keeping the pairs of data set {wildcards.architecture} that all data sets have"
        script:
            "../workflow/scripts/align_dataset.py"


IMPORTED_BY_RULE["diagnose_pairs"] = imported_for_languages


rule diagnose_pairs:
    input:
        pairs=R / "pairs.parquet",
        texts=lambda wc: PLAN.dataset_inputs(wc.architecture),
        ratings=lambda wc: [path for files in PLAN.ratings(wc.architecture).values() for path in files.values()],
        trainee=identity_of(CONFIG.training.base),
        settings=R / "settings/dataset.{architecture}.json",
    output:
        R / "diagnostics/{architecture}.parquet",
    log:
        R / "logs/diagnose_pairs/{architecture}.log",
    conda:
        "../environment.yml"
    # a small base set takes less time than loading the models of the languages, which uses one thread
    threads: 4 if CONFIG.sampling.items * len(CONFIG.all_languages) > 5000 else 1
    params:
        **({"ratings": lambda wc: PLAN.ratings(wc.architecture)} if PLAN.rated() else {}),
        fields=lambda wc: PLAN.dataset_fields(wc.architecture),
        trainee=PLAN.weights(CONFIG.training.base),
        languages=CONFIG.all_languages,
        expected=lambda wc: expected_texts(PLAN, wc.architecture),
    message:
        "Running diagnostics on the pairs of data set {wildcards.architecture}"
    script:
        "../workflow/scripts/diagnose_pairs.py"


rule write_card:
    input:
        dataset=R / "datasets/{architecture}.parquet",
        dropped=R / "datasets/{architecture}.dropped.parquet",
        diagnostics=R / "diagnostics/{architecture}.parquet",
    output:
        card=R / "datasets/{architecture}/README.md",
        data=[
            f"{R}/datasets/{{architecture}}/{file_of(config, split)}"
            for config in (TEXTS, CHATS)
            for split in splits(CONFIG.export.test_share)
        ],
        croissant=R / "datasets/{architecture}/croissant.json",
    log:
        R / "logs/write_card/{architecture}.log",
    conda:
        "../environment.yml"
    params:
        **({"test_share": CONFIG.export.test_share} if CONFIG.export.test_share else {}),
        architecture=lambda wc: CONFIG.architectures[wc.architecture].model_dump(),
        licenses=lambda wc: PLAN.licenses(wc.architecture),
        title=CONFIG.report.title,
        languages={code: LANGUAGES[code].name for code in CONFIG.all_languages},
    message:
        "Writing the card of data set {wildcards.architecture}"
    script:
        "../workflow/scripts/write_card.py"


rule tabulate_datasets:
    input:
        sources=expand(R / "sources/{source}.parquet", source=sorted(CONFIG.sources)),
        sources_dropped=expand(R / "sources/{source}.dropped.parquet", source=sorted(CONFIG.sources)),
        pairs=R / "pairs.parquet",
        pairs_dropped=R / "pairs.dropped.parquet",
        native=PLAN.all_native_files(),
        native_dropped=[f"{path.removesuffix('.parquet')}.dropped.parquet" for path in PLAN.all_native_files()],
        datasets=expand(R / "datasets/{architecture}.parquet", architecture=PLAN.architectures),
        datasets_dropped=expand(R / "datasets/{architecture}.dropped.parquet", architecture=PLAN.architectures),
        diagnostics=expand(R / "diagnostics/{architecture}.parquet", architecture=PLAN.architectures),
        settings=R / "settings/tables.json",
        rating=R / "settings/rating_table.json" if PLAN.rated() else [],
    output:
        **({"ratings": R / "tables/ratings.csv"} if PLAN.rated() else {}),
        funnel=R / "tables/funnel.csv",
        dataset_counts=R / "tables/dataset_counts.csv",
        diagnostics=R / "tables/diagnostics.csv",
        lengths=R / "tables/lengths.csv",
    log:
        R / "logs/tabulate_datasets.log",
    conda:
        "../environment.yml"
    params:
        **(settings(PLAN, "rating_table") if PLAN.rated() else {}),
        languages=CONFIG.all_languages,
    message:
        "Counting the preference pairs, their lengths and flags"
    script:
        "../workflow/scripts/tabulate_datasets.py"
