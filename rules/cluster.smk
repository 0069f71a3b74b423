# On a cluster: rules of their own for what needs GPUs, so that a profile names the GPU partition for these and nothing
# else; batches of an API or on CPU stay where other CPU jobs run. And what Snakemake's Slurm executor leaves to us.


use rule complete as complete_on_gpu with:
    wildcard_constraints:
        checkpoint=PLAN.batches_on_gpu(),


ruleorder: complete_on_gpu > complete


if CONFIG.training.runtime.gpus:

    use rule train_policy as train_policy_on_gpu with:
        message:
            "Training a policy on data set {wildcards.architecture} on GPUs"

    ruleorder: train_policy_on_gpu > train_policy


# The executor asks Slurm after a job ever less often, up to every three minutes, and a finished batch waits for it.
# seconds-between-status-checks, Snakemake's own setting, which it ignores, is the upper bound here.
if slurm := sys.modules.get("snakemake_executor_plugin_slurm"):
    bound_status_checks(slurm.Executor)
    # and Ctrl-C, while it asks, would leave all jobs running
    cancel_while_looking(slurm.Executor)
    # it also waits for ever where Slurm is away for a moment, where a job is cancelled, and without a word where none starts
    slurm.query_job_status = StatusQuery(slurm.query_job_status)
