# Local checkpoints are known by their content: a changed weight is another model.


localrules:
    identify_checkpoint,


rule identify_checkpoint:
    input:
        lambda wc: sorted(
            str(file) for file in Path(local_file(CONFIG.checkpoints[wc.checkpoint].path)).iterdir() if file.is_file()
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
        "Reading what checkpoint {wildcards.checkpoint} is made of"
    script:
        "../workflow/scripts/identify_checkpoint.py"
