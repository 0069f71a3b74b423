# Training: DPO of one policy per data set, cached by the digest of its inputs.


IMPORTED_BY_RULE["train_policy"] = imported_by_trainer


rule train_policy:
    input:
        dataset=lambda wc: f"{R}/datasets/{PLAN.trained[wc.policy][0]}.parquet",
        checkpoint=identity_of(CONFIG.training.base),
        checked=checked(),
        settings=R / "settings/training.json",
    output:
        policy=R / "policies/{policy}/policy.json",
        log=R / "policies/{policy}/log.csv",
        overlong=R / "policies/{policy}/overlong.csv",
    log:
        R / "logs/train_policy/{policy}.log",
    benchmark:
        R / "benchmarks/train_policy/{policy}.tsv"
    wildcard_constraints:
        policy="|".join(map(re.escape, PLAN.trained)),
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
        training=lambda wc: PLAN.training_settings(wc.policy),
    message:
        "Training the policy {wildcards.policy}"
    script:
        "../workflow/scripts/train_policy.py"
