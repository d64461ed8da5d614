STREAMS = [(collection, stream) for collection, about in plan.collections.items() for stream in about["streams"]]


def made_by(extracted):
    """A constraint for {stream}, which is COLLECTION/STREAM here: one rule cannot tell from either alone who makes it."""
    return one_of(f"{c}/{s}" for c, s in STREAMS if plan.is_extracted(c, s) == extracted)


def stream_of(wildcards):
    return wildcards.stream.split("/")


def stream_settings(wildcards):
    return settings(plan.features(*stream_of(wildcards)))


def extractor_input(wildcards):
    collection, stream = stream_of(wildcards)
    kind = plan.collections[collection]["streams"][stream]["input"]
    return f"results/videos/{collection}/{kind}/{wildcards.shard}.h5"


rule extract:
    input:
        video=extractor_input,
        weights=lambda wildcards: inventory.stream_files(*stream_of(wildcards)),
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
    threads: 4
    resources:
        gpu=gpus(),
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=240,
    params:
        settings=stream_settings,
        code=code.digest("mmdist.features.extract"),
        work="results/.work/extract/{stream}/{shard}",
    shell:
        "{PYTHON:q} -m mmdist.features.extract --settings {params.settings:q} --input {input.video:q}"
        " --weights {input.weights:q} --output {output:q} --work {params.work:q} > {log:q} 2>&1"


rule external:
    input:
        source=lambda wildcards: inventory.stream_files(*stream_of(wildcards)),
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
        ids=told(
            lambda wildcards: json.dumps(
                inventory.shard_ids(stream_of(wildcards)[0], int(wildcards.shard), extracted=False)
            )
        ),
    shell:
        "{PYTHON:q} -m mmdist.features.external --settings {params.settings:q} --source {input.source:q}"
        " --ids {params.ids:q} --output {output:q} > {log:q} 2>&1"
