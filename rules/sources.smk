# Data: the English base set, WMT24++ and the evaluation prompts.


localrules:
    normalise_source,
    sample_pairs,
    sample_native,
    normalise_wmt,
    normalise_prompts,


rule normalise_source:
    input:
        lambda wc: local_data(CONFIG.sources[wc.source].path),
    output:
        pairs=R / "sources/{source}.parquet",
        dropped=R / "sources/{source}.dropped.parquet",
    log:
        R / "logs/normalise_source/{source}.log",
    conda:
        "../environment.yml"
    params:
        source=lambda wc: CONFIG.sources[wc.source].reading(),
    message:
        "Reading the preference set {wildcards.source}"
    script:
        "../workflow/scripts/normalise_source.py"


rule sample_pairs:
    input:
        sources=expand(R / "sources/{source}.parquet", source=sorted(CONFIG.sources)),
        trainee=identity_of(CONFIG.training.base),
        evaluation=evaluation_files() if CONFIG.sampling.contaminated == "drop" else [],
    output:
        pairs=R / "pairs.parquet",
        dropped=R / "pairs.dropped.parquet",
    log:
        R / "logs/sample_pairs.log",
    conda:
        "../environment.yml"
    params:
        sampling=CONFIG.sampling.model_dump(exclude={"contaminated"}),
        evaluation=compared_evaluation(PLAN),
        trainee=PLAN.trainee(),
    message:
        "Sampling the English base set"
    script:
        "../workflow/scripts/sample_pairs.py"


rule sample_native:
    input:
        data=lambda wc: local_data(native_prompts(wc).path),
        trainee=identity_of(CONFIG.training.base),
        evaluation=evaluation_files() if CONFIG.sampling.contaminated == "drop" else [],
    output:
        prompts=R / "native/{native}/{language}.parquet",
        dropped=R / "native/{native}/{language}.dropped.parquet",
    log:
        R / "logs/sample_native/{native}.{language}.log",
    conda:
        "../environment.yml"
    params:
        native=lambda wc: native_prompts(wc).model_dump(exclude={"license", "gated"}),
        iso=lambda wc: LANGUAGES[wc.language].iso639_3,
        sampling=CONFIG.sampling.model_dump(exclude={"contaminated"}),
        evaluation=compared_evaluation(PLAN),
        trainee=PLAN.trainee(),
    message:
        "Sampling the native prompts {wildcards.native} in {wildcards.language}"
    script:
        "../workflow/scripts/sample_native.py"


rule normalise_wmt:
    input:
        lambda wc: segment_files(wc.language),
    output:
        R / "wmt/{language}.parquet",
    log:
        R / "logs/normalise_wmt/{language}.log",
    conda:
        "../environment.yml"
    params:
        path=lambda wc: segments_path(wc.language),
        revision=CONFIG.wmt.revision,
        segments=CONFIG.wmt.segments,
        seed=CONFIG.sampling.seed,
        language=lambda wc: LANGUAGES[wc.language].of_data(),
    message:
        "Reading the segments in {wildcards.language}"
    script:
        "../workflow/scripts/normalise_wmt.py"


rule normalise_prompts:
    input:
        lambda wc: prompt_files(wc.language),
    output:
        R / "prompts/{language}.parquet",
    log:
        R / "logs/normalise_prompts/{language}.log",
    conda:
        "../environment.yml"
    params:
        path=lambda wc: prompts_path(wc.language),
        revision=CONFIG.evaluation.revision,
        wanted=CONFIG.evaluation.prompts_per_language,
        seed=CONFIG.evaluation.seed,
        language=lambda wc: LANGUAGES[wc.language].of_data(),
    message:
        "Reading the evaluation prompts in {wildcards.language}"
    script:
        "../workflow/scripts/normalise_prompts.py"
