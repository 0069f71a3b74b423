# Training: DPO of one policy per data set, cached by the digest of its inputs.


rule train_policy:
    input:
        dataset=R / "datasets/{architecture}.parquet",
        checkpoint=identity_of(CONFIG.training.base),
        checked=checked(),
        settings=R / "settings/training.json",
    output:
        policy=R / "policies/{architecture}/policy.json",
        log=R / "policies/{architecture}/log.csv",
        overlong=R / "policies/{architecture}/overlong.csv",
    log:
        R / "logs/train_policy/{architecture}.log",
    benchmark:
        R / "benchmarks/train_policy/{architecture}.tsv"
    conda:
        "../environment.yml"
    threads: CONFIG.training.runtime.threads
    resources:
        engine=1,
        cpus_per_task=CONFIG.training.runtime.threads,
        gpu=CONFIG.training.runtime.gpus * CONFIG.training.runtime.nodes,
        nodes=CONFIG.training.runtime.nodes,
        mpi=on_several_nodes(CONFIG.training.runtime.nodes),
        mem_mb=lambda wc, attempt: attempt * 1000 * int(CONFIG.training.runtime.memory_gb),
        runtime=lambda wc, attempt: attempt * int(60 * CONFIG.training.runtime.hours),
    params:
        base=PLAN.trainee(),
        training=CONFIG.training.model_dump(exclude={"runtime"}),
    message:
        "Training a policy on data set {wildcards.architecture}"
    script:
        "../workflow/scripts/train_policy.py"
