# Settings of rules downstream of a batch, as files; polypref/plan/settings.py explains why params are not sufficient.


localrules:
    write_settings,


rule write_settings:
    input:
        lambda wc: [
            given_file(section.prompt)
            for name, section in (("judge", CONFIG.judging), ("rating", CONFIG.rating))
            if wc.what == name and (wc.what == "judge" or CONFIG.rating.rater)
        ],
    output:
        R / "settings/{what}.json",
    log:
        R / "logs/write_settings/{what}.log",
    conda:
        "../environment.yml"
    params:
        settings=lambda wc: settings(PLAN, wc.what),
    message:
        "Writing the settings {wildcards.what}"
    script:
        "../workflow/scripts/write_settings.py"
