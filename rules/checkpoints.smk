# Local checkpoints are identified by their content, so changed weights count as another checkpoint.


localrules:
    identify_checkpoint,


rule identify_checkpoint:
    input:
        lambda wc: local(
            sorted(
                str(file)
                for file in Path(local_file(CONFIG.checkpoints[wc.checkpoint].path)).iterdir()
                if file.is_file()
            )
        ),
    output:
        R / "checkpoints/{checkpoint}.json",
    log:
        R / "logs/identify_checkpoint/{checkpoint}.log",
    conda:
        "../environment.yml"
    params:
        path=lambda wc: local_file(CONFIG.checkpoints[wc.checkpoint].path),
    message:
        "Computing the digest of checkpoint {wildcards.checkpoint}"
    script:
        "../workflow/scripts/identify_checkpoint.py"
