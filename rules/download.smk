# Downloads run only when they are named: no rule has their files as output.
for target in downloads.targets(config["downloads"]):

    rule:
        name:
            f"download_{target}"
        log:
            f"results/logs/download/{target}.log",
        localrule: True
        conda:
            "../envs/vidistill.yaml"
        params:
            settings=settings(downloaded(target)),
            reads=reads("vidistill.data.downloads.download", downloaded(target)),
        shell:
            "python -m vidistill.data.downloads.download --settings {params.settings:q} 2>&1 | tee {log:q} >&2"
