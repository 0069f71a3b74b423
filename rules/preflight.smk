# Before GPU time is spent: checks, estimates of cost and time, previews of requests, and downloads.


localrules:
    tabulate_cost,


rule preflight:
    log:
        R / "logs/preflight.log",
    localrule: True
    conda:
        "../environment.yml"
    params:
        here=lambda wc: not submits_jobs(),
    message:
        "Checking tokens, keys, repositories, GPUs, disk and context lengths"
    script:
        "../workflow/scripts/preflight.py"


rule check_before_gpu:
    output:
        R / "preflight.txt",
    log:
        R / "logs/check_before_gpu.log",
    localrule: True
    conda:
        "../environment.yml"
    params:
        here=lambda wc: not submits_jobs(),
        needs=[repository._asdict() for repository in repositories(PLAN)] + sorted(api_keys(PLAN)),
    message:
        "Checking tokens, keys, repositories, GPUs, disk and context lengths before the first GPU job"
    script:
        "../workflow/scripts/preflight.py"


rule estimate:
    log:
        R / "logs/estimate.log",
    localrule: True
    conda:
        "../environment.yml"
    message:
        "Estimating requests, tokens, GPU hours, disk and cost"
    script:
        "../workflow/scripts/estimate.py"


rule show_requests:
    name:
        "show-requests"
    log:
        R / "logs/show_requests.log",
    localrule: True
    conda:
        "../environment.yml"
    message:
        "Showing the first request of every batch"
    script:
        "../workflow/scripts/show_requests.py"


rule fetch:
    log:
        R / "logs/fetch.log",
    localrule: True
    conda:
        "../environment.yml"
    message:
        "Downloading data and checkpoints"
    script:
        "../workflow/scripts/fetch.py"


rule pin:
    log:
        R / "logs/pin.log",
    localrule: True
    conda:
        "../environment.yml"
    params:
        files=[str(Path(file).absolute()) for file in config_files()],
    message:
        "Writing the current commits of unpinned repositories to the configuration and the registry"
    script:
        "../workflow/scripts/pin.py"


rule tabulate_cost:
    input:
        costs=[f"{R}/completions/{task}/{name}.cost.json" for task, name in PLAN.batches()],
        # without a storage, the script finds those that exist
        policies=expand(R / "policies/{policy}/policy.json", policy=PLAN.trained) if default_storage() else [],
    output:
        cost=R / "tables/cost.csv",
        estimate=R / "tables/estimate.csv",
    log:
        R / "logs/tabulate_cost.log",
    conda:
        "../environment.yml"
    message:
        "Summing the cost of the batches, and comparing it with the estimate"
    script:
        "../workflow/scripts/tabulate_cost.py"
