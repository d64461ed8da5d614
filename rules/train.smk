rule availability:
    input:
        features=lambda wildcards: files_of(model_features(wildcards)),
        queries=seen_by_model,
    output:
        "results/{dataset}/{model}/availability.csv",
    log:
        "results/logs/availability/{dataset}/{model}.log",
    priority: 3
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=60,
    params:
        settings=settings(availability_settings),
        # This stage only decides whether training may start: trained models depend on neither its limit nor its code.
        # ancient() does not work here: Snakemake would not check the waiting job for other reasons to rerun.
        reads=reads(None, availability_settings, but="max_bad_share"),
        features=lambda wildcards: by_role(model_features(wildcards)),
    shell:
        "python -m vidistill.features.availability --settings {params.settings:q} --queries {input.queries:q}"
        " --features {params.features:q} --output {output:q} > {log:q} 2>&1"


# The training of all models but those of the next two rules. It reads no moments: hard labels are a model's pseudo labels.
rule train:
    input:
        unpack(targets_of_teachers),
        hard_labels=labels,
        availability="results/{dataset}/{model}/availability.csv",
        features=lambda wildcards: files_of(model_features(wildcards)),
        queries="results/{dataset}/queries.parquet",
        vocabulary="results/{dataset}/vocabulary.json",
        vectors="results/{dataset}/word_vectors.safetensors",
    output:
        model="results/{dataset}/{model}/seed-{seed}/model.safetensors",
        history="results/{dataset}/{model}/seed-{seed}/history.parquet",
        predictions="results/{dataset}/{model}/seed-{seed}/predictions.parquet",
    log:
        "results/logs/train/{dataset}/{model}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/train/{dataset}/{model}/seed-{seed}.tsv"
    wildcard_constraints:
        model=supervised_by("weak", "pseudo"),
    priority: 3
    conda:
        "../envs/vidistill.yaml"
    threads: lambda wildcards: plan.train(wildcards.dataset, wildcards.model, int(wildcards.seed))["threads"]
    resources:
        gpu=gpus(),
        mem_mb=memory_of_features,
        runtime=grows(720),
    params:
        settings=settings(train_settings),
        method=method,
        reads=reads(method_stage("train"), train_settings),
        content=content(tables_from_elsewhere),
        hard_labels=lambda wildcards, input: ["--labels", *input.hard_labels] if input.hard_labels else [],
        features=lambda wildcards: by_role(model_features(wildcards)),
        work="results/.work/train/{dataset}/{model}/seed-{seed}",
    shell:
        "python -m vidistill.{params.method}.train --settings {params.settings:q} --queries {input.queries:q}"
        " --vocabulary {input.vocabulary:q} --word-vectors {input.vectors:q} --features {params.features:q}"
        " --pseudo-labels {input.pseudo_labels:q} --activation-maps {input.activation_maps:q}"
        " {params.hard_labels:q} --model {output.model:q} --history {output.history:q} --predictions {output.predictions:q}"
        " --work {params.work:q} > {log:q} 2>&1"


# The one training that reads moments, of the training splits alone, for models with `supervision: full`.
use rule train as train_supervised with:
    input:
        unpack(targets_of_teachers),
        hard_labels="results/{dataset}/training_moments.parquet",
        availability="results/{dataset}/{model}/availability.csv",
        features=lambda wildcards: files_of(model_features(wildcards)),
        queries="results/{dataset}/queries.parquet",
        vocabulary="results/{dataset}/vocabulary.json",
        vectors="results/{dataset}/word_vectors.safetensors",
    wildcard_constraints:
        model=supervised_by("full"),
    params:
        hard_labels=lambda wildcards, input: ["--training-moments", input.hard_labels],


# Models of actions write the tables that teach while they train, round by round, and their segments are found later.
rule train_actions:
    input:
        unpack(targets_of_teachers),
        availability="results/{dataset}/{model}/availability.csv",
        features=lambda wildcards: files_of(model_features(wildcards)),
        labels="results/{dataset}/training_labels.parquet",
    output:
        model="results/{dataset}/{model}/seed-{seed}/model.safetensors",
        snapshots="results/{dataset}/{model}/seed-{seed}/snapshots.safetensors",
        history="results/{dataset}/{model}/seed-{seed}/history.parquet",
        pseudo_labels="results/{dataset}/{model}/seed-{seed}/pseudo_labels.parquet",
        activation_maps="results/{dataset}/{model}/seed-{seed}/activation_maps.parquet",
    log:
        "results/logs/train/{dataset}/{model}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/train/{dataset}/{model}/seed-{seed}.tsv"
    wildcard_constraints:
        model=finding(segments=True, external=False),
    priority: 3
    conda:
        "../envs/vidistill.yaml"
    threads: lambda wildcards: plan.train(wildcards.dataset, wildcards.model, int(wildcards.seed))["threads"]
    resources:
        gpu=gpus(),
        mem_mb=memory_of_features,
        runtime=grows(720),
    params:
        settings=settings(train_settings),
        method=method,
        reads=reads(method_stage("train"), train_settings),
        content=content(tables_from_elsewhere),
        features=lambda wildcards: by_role(model_features(wildcards)),
        work="results/.work/train/{dataset}/{model}/seed-{seed}",
    shell:
        "python -m vidistill.{params.method}.train --settings {params.settings:q} --queries {input.labels:q}"
        " --features {params.features:q} --teacher-maps {input.activation_maps:q} --model {output.model:q}"
        " --snapshots {output.snapshots:q} --history {output.history:q} --pseudo-labels {output.pseudo_labels:q}"
        " --activation-maps {output.activation_maps:q} --work {params.work:q} > {log:q} 2>&1"


rule localise:
    input:
        features=lambda wildcards: files_of(model_features(wildcards)),
        model="results/{dataset}/{model}/seed-{seed}/model.safetensors",
        snapshots="results/{dataset}/{model}/seed-{seed}/snapshots.safetensors",
        labels="results/{dataset}/training_labels.parquet",
    output:
        predictions="results/{dataset}/{model}/seed-{seed}/predictions.parquet",
        detections="results/{dataset}/{model}/seed-{seed}/detections.json",
    log:
        "results/logs/localise/{dataset}/{model}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/localise/{dataset}/{model}/seed-{seed}.tsv"
    wildcard_constraints:
        model=finding(segments=True, external=False),
    priority: 3
    conda:
        "../envs/vidistill.yaml"
    threads: lambda wildcards: plan.localise(wildcards.dataset, wildcards.model)["threads"]
    resources:
        gpu=gpus(),
        mem_mb=memory_of_features,
        runtime=grows(240),
    params:
        settings=settings(localise_settings),
        method=method,
        reads=reads(method_stage("localise"), localise_settings),
        features=lambda wildcards: by_role(model_features(wildcards)),
    shell:
        "python -m vidistill.{params.method}.localise --settings {params.settings:q} --model {input.model:q}"
        " --snapshots {input.snapshots:q} --queries {input.labels:q} --features {params.features:q}"
        " --predictions {output.predictions:q} --detections {output.detections:q} > {log:q} 2>&1"


rule export:
    input:
        features=lambda wildcards: files_of(model_features(wildcards)),
        model="results/{dataset}/{model}/seed-{seed}/model.safetensors",
        queries="results/{dataset}/queries.parquet",
    output:
        pseudo_labels="results/{dataset}/{model}/seed-{seed}/pseudo_labels.parquet",
        activation_maps="results/{dataset}/{model}/seed-{seed}/activation_maps.parquet",
    log:
        "results/logs/export/{dataset}/{model}/seed-{seed}.log",
    benchmark:
        "results/benchmarks/export/{dataset}/{model}/seed-{seed}.tsv"
    wildcard_constraints:
        model=finding(segments=False, external=False),
    priority: 3
    conda:
        "../envs/vidistill.yaml"
    threads: lambda wildcards: plan.export(wildcards.model)["threads"]
    resources:
        gpu=gpus(),
        mem_mb=memory_of_features,
        runtime=grows(240),
    params:
        settings=settings(export_settings),
        method=method,
        reads=reads(method_stage("export"), export_settings),
        features=lambda wildcards: by_role(model_features(wildcards)),
    shell:
        "python -m vidistill.{params.method}.export --settings {params.settings:q} --model {input.model:q} --queries {input.queries:q}"
        " --features {params.features:q} --pseudo-labels {output.pseudo_labels:q}"
        " --activation-maps {output.activation_maps:q} > {log:q} 2>&1"
