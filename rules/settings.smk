# Settings of rules that run behind a batch, as files: see polypref/plan/settings.py for why params are not enough there.


localrules:
    write_settings,


rule write_settings:
    input:
        lambda wc: [local_file(CONFIG.judging.prompt)] if wc.what == "judge" else [],
    output:
        R / "settings/{what}.json",
    log:
        R / "logs/write_settings/{what}.log",
    conda:
        "../environment.yml"
    params:
        settings=lambda wc: settings(PLAN, wc.what),
    message:
        "Writing down the settings of {wildcards.what}"
    script:
        "../workflow/scripts/write_settings.py"
