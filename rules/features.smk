rule extract:
    input:
        video=extractor_input,
        weights=weights,
    output:
        "results/features/{stream}/{shard}.h5",
    log:
        "results/logs/extract/{stream}/{shard}.log",
    benchmark:
        "results/benchmarks/extract/{stream}/{shard}.tsv"
    wildcard_constraints:
        stream=made_by("extract"),
    priority: 2
    conda:
        "../envs/vidistill.yaml"
    threads: lambda wildcards: plan.features(*stream_of(wildcards))["threads"]
    resources:
        gpu=gpus(),
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        settings=settings(stream_settings),
        reads=reads("vidistill.features.extract", stream_settings),
        content=content(weights),
        work="results/.work/extract/{stream}/{shard}",
    shell:
        "python -m vidistill.features.extract --settings {params.settings:q} --input {input.video:q}"
        " --weights {input.weights:q} --output {output:q} --work {params.work:q} > {log:q} 2>&1"


rule flow_features:
    input:
        frames=frames_of_flow,
        weights=weights,
    output:
        "results/features/{stream}/{shard}.h5",
    log:
        "results/logs/flow_features/{stream}/{shard}.log",
    benchmark:
        "results/benchmarks/flow_features/{stream}/{shard}.tsv"
    wildcard_constraints:
        stream=made_by("flow_features"),
    priority: 2
    conda:
        "../envs/vidistill.yaml"
    threads: 4
    resources:
        gpu=gpus(),
        mem_mb=grows(6000),
        runtime=grows(720),
    params:
        settings=settings(flow_features_settings),
        reads=reads("vidistill.features.flow_features", flow_features_settings),
        content=content(weights),
        work="results/.work/flow_features/{stream}/{shard}",
    shell:
        "python -m vidistill.features.flow_features --settings {params.settings:q} --frames {input.frames:q}"
        " --weights {input.weights:q} --output {output:q} --work {params.work:q} --workers {threads} > {log:q} 2>&1"


rule external:
    input:
        existing_features,
    output:
        "results/features/{stream}/{shard}.h5",
    log:
        "results/logs/external/{stream}/{shard}.log",
    wildcard_constraints:
        stream=made_by("external"),
    priority: 2
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=settings(stream_settings),
        reads=reads("vidistill.features.external", stream_settings),
        content=content(existing_features),
        ids=shard_ids,
        others=other_ids,
    shell:
        "python -m vidistill.features.external --settings {params.settings:q} --ids {params.ids:q}"
        " --others {params.others:q} --output {output:q} > {log:q} 2>&1"
