# Data: the English base set, WMT24++ and the evaluation prompts.


localrules:
    normalise_source,
    sample_pairs,
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
    output:
        pairs=R / "pairs.parquet",
        dropped=R / "pairs.dropped.parquet",
    log:
        R / "logs/sample_pairs.log",
    conda:
        "../environment.yml"
    params:
        sampling=CONFIG.sampling.model_dump(),
        trainee=PLAN.trainee(),
    message:
        "Sampling the English base set"
    script:
        "../workflow/scripts/sample_pairs.py"


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
