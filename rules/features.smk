rule extract:
    input:
        video=extractor_input,
        weights=lambda wildcards: inventory.weights(*stream_of(wildcards)),
    output:
        "results/features/{stream}/{shard}.h5",
    log:
        "results/logs/extract/{stream}/{shard}.log",
    benchmark:
        "results/benchmarks/extract/{stream}/{shard}.tsv"
    wildcard_constraints:
        stream=made_by(extracted=True),
    priority: 2
    conda:
        "../envs/mmdist.yaml"
    threads: lambda wildcards: plan.features(*stream_of(wildcards))["threads"]
    resources:
        gpu=gpus(),
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=240,
    params:
        settings=stream_settings,
        code=code.digest("mmdist.features.extract"),
        work="results/.work/extract/{stream}/{shard}",
    shell:
        "python -m mmdist.features.extract --settings {params.settings:q} --input {input.video:q}"
        " --weights {input.weights:q} --output {output:q} --work {params.work:q} > {log:q} 2>&1"


rule external:
    input:
        existing_features,
    output:
        "results/features/{stream}/{shard}.h5",
    log:
        "results/logs/external/{stream}/{shard}.log",
    wildcard_constraints:
        stream=made_by(extracted=False),
    priority: 2
    conda:
        "../envs/mmdist.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=60,
    params:
        settings=stream_settings,
        code=code.digest("mmdist.features.external"),
        ids=shard_ids,
    shell:
        "python -m mmdist.features.external --settings {params.settings:q} --ids {params.ids:q}"
        " --output {output:q} > {log:q} 2>&1"
