# On a cluster: separate rules for jobs that need GPUs, so that a profile can send them to the GPU partition, while batches
# of an API or on CPU run with the other CPU jobs; and changes to Snakemake's Slurm executor.


use rule complete as complete_on_gpu with:
    wildcard_constraints:
        checkpoint=PLAN.batches_on_gpu(),


ruleorder: complete_on_gpu > complete


if CONFIG.training.runtime.gpus:

    use rule train_policy as train_policy_on_gpu with:
        message:
            "Training the policy {wildcards.policy} on GPUs"

    ruleorder: train_policy_on_gpu > train_policy


# The executor ignores seconds-between-status-checks, loses jobs when it is interrupted during a status check, and waits
# forever when Slurm does not respond; see running/slurm_executor.py.
if slurm := sys.modules.get("snakemake_executor_plugin_slurm"):
    adapt_executor(slurm)
