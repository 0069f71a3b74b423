# Additions for clusters. GPU jobs have separate rules, so that a profile can set the GPU partition for them alone, and
# batches that use an API or the CPU run in the CPU partition. The last part extends Snakemake's Slurm executor.


use rule complete as complete_on_gpu with:
    wildcard_constraints:
        checkpoint=PLAN.batches_on_gpu(),


ruleorder: complete_on_gpu > complete


if CONFIG.training.runtime.gpus:

    use rule train_policy as train_policy_on_gpu with:
        message:
            "Training a policy on data set {wildcards.architecture} on GPUs"

    ruleorder: train_policy_on_gpu > train_policy


# The executor increases the interval between status checks up to three minutes, so the end of a batch is noticed late.
# It ignores Snakemake's setting seconds-between-status-checks, which is therefore enforced here as the upper bound.
if slurm := sys.modules.get("snakemake_executor_plugin_slurm"):
    bound_status_checks(slurm.Executor)
    # Ctrl-C during a status check would leave all jobs running.
    cancel_while_looking(slurm.Executor)
    # The executor would wait forever after a Slurm outage or a cancelled job, and it never reports jobs that do not start.
    slurm.query_job_status = StatusQuery(slurm.query_job_status)
