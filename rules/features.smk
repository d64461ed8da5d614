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
    return f"results/videos/{collection}/{plan.extracted_from(collection, stream)}/{wildcards.shard}.h5"


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


@told
def existing_features(wildcards):
    return inventory.existing_features(*stream_of(wildcards), int(wildcards.shard))


@told
def shard_ids(wildcards):
    collection, _ = stream_of(wildcards)
    return json.dumps(inventory.shard_ids(collection, int(wildcards.shard), extracted=False))


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
        "{PYTHON:q} -m mmdist.features.external --settings {params.settings:q} --ids {params.ids:q}"
        " --output {output:q} > {log:q} 2>&1"
