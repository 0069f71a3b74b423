# Complete: one job per batch (task and checkpoint) starts the engine once and computes the missing completions.


IMPORTED_BY_RULE["complete"] = imported_by_engine


rule complete:
    input:
        checked=checked(),
        requests=lambda wc: expand(
            R / "requests/{task}/{stem}.parquet",
            task=wc.task,
            stem=PLAN.batches()[wc.task, wc.checkpoint],
        ),
    output:
        completions=R / "completions/{task}/{checkpoint}.parquet",
        cost=R / "completions/{task}/{checkpoint}.cost.json",
    log:
        R / "logs/complete/{task}.{checkpoint}.log",
    benchmark:
        R / "benchmarks/complete/{task}.{checkpoint}.tsv"
    conda:
        "../environment.yml"
    threads: lambda wc: PLAN.batch_runtime(wc.task, wc.checkpoint).of_batch("threads")
    resources:
        engine=1,
        # as set in the registry; Snakemake limits `threads` to the cores of the login node
        cpus_per_task=lambda wc: PLAN.batch_runtime(wc.task, wc.checkpoint).of_node("threads"),
        gpu=lambda wc: PLAN.batch_runtime(wc.task, wc.checkpoint).of_batch("gpus"),
        nodes=lambda wc: PLAN.batch_runtime(wc.task, wc.checkpoint).nodes,
        mpi=lambda wc: on_several_nodes(PLAN.batch_runtime(wc.task, wc.checkpoint).nodes),
        mem_mb=lambda wc, attempt: attempt * int(1000 * PLAN.batch_runtime(wc.task, wc.checkpoint).of_node("memory_gb")),
        runtime=lambda wc, attempt: attempt * int(60 * PLAN.batch_runtime(wc.task, wc.checkpoint).hours),
    message:
        "Completing the batch {wildcards.task}/{wildcards.checkpoint}"
    script:
        "../workflow/scripts/complete.py"
