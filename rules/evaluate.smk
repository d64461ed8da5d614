# Predictions that were made elsewhere, as a table of the same form as those of trained models.
rule external_predictions:
    input:
        source=external_file,
        queries="results/{dataset}/queries.parquet",
    output:
        predictions="results/{dataset}/{model}/seed-{seed}/predictions.parquet",
        flaws="results/{dataset}/{model}/seed-{seed}/flaws.csv",
    log:
        "results/logs/external_predictions/{dataset}/{model}/seed-{seed}.log",
    wildcard_constraints:
        model=one_of(model for model in plan.models if plan.is_external(model)),
    priority: 4
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(external_settings),
        reads=reads("vidistill.evaluation.external_predictions", external_settings),
        content=content(external_file),
    shell:
        "python -m vidistill.evaluation.external_predictions --settings {params.settings:q} --queries {input.queries:q}"
        " --source {input.source:q} --predictions {output.predictions:q} --flaws {output.flaws:q} > {log:q} 2>&1"


# All models of a result on one machine, one after another.
rule efficiency:
    input:
        models=lambda wildcards: models_of_result(wildcards).values(),
        queries=seen_by_measured,
    output:
        "results/{dataset}/{model}/efficiency.json",
    log:
        "results/logs/efficiency/{dataset}/{model}.log",
    priority: 4
    conda:
        "../envs/vidistill.yaml"
    threads: alone(config["efficiency"]["threads"])
    resources:
        gpu=gpus(),
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(efficiency_settings),
        reads=reads(efficiency_modules, efficiency_settings),
        models=lambda wildcards: as_options(models_of_result(wildcards)),
    shell:
        "python -m vidistill.evaluation.efficiency --settings {params.settings:q} --queries {input.queries:q}"
        " --models {params.models:q} --output {output:q} > {log:q} 2>&1"


# And all models of the tables, whose results were measured apart.
use rule efficiency as efficiency_of_tables with:
    output:
        "results/{dataset}/efficiency.json",
    log:
        "results/logs/efficiency/{dataset}.log",


rule retrieve:
    input:
        features=lambda wildcards: files_of(model_features(wildcards)),
        model="results/{dataset}/{model}/seed-{seed}/model.safetensors",
        queries="results/{dataset}/queries.parquet",
    output:
        "results/{dataset}/{model}/seed-{seed}/retrieval.parquet",
    log:
        "results/logs/retrieve/{dataset}/{model}/seed-{seed}.log",
    wildcard_constraints:
        model=finding(segments=False, external=False),
    priority: 4
    conda:
        "../envs/vidistill.yaml"
    threads: config["retrieve"]["threads"]
    resources:
        gpu=gpus(),
        mem_mb=memory_of_features,
        runtime=grows(240),
    params:
        settings=settings(retrieve_settings),
        method=method,
        reads=reads(method_stage("retrieve"), retrieve_settings),
        features=lambda wildcards: by_role(model_features(wildcards)),
    shell:
        "python -m vidistill.{params.method}.retrieve --settings {params.settings:q} --model {input.model:q}"
        " --queries {input.queries:q} --features {params.features:q} --output {output:q} > {log:q} 2>&1"


rule evaluate:
    input:
        retrievals=lambda wildcards: of_compared(wildcards, "retrieval.parquet").values(),
        features=lambda wildcards: files_of(result_features(wildcards)),
        predictions=lambda wildcards: of_compared(wildcards, "predictions.parquet").values(),
        models=lambda wildcards: of_compared(wildcards, "model.safetensors").values(),
        histories=lambda wildcards: of_compared(wildcards, "history.parquet").values(),
        queries="results/{dataset}/queries.parquet",
        moments="results/{dataset}/moments.parquet",
        problems="results/{dataset}/problems.csv",
        efficiency="results/{dataset}/{model}/efficiency.json",
    output:
        result="results/{model}_{dataset}.json",
        predictions="results/{dataset}/{model}/predictions.jsonl",
    log:
        "results/logs/evaluate/{dataset}/{model}.log",
    wildcard_constraints:
        model=finding(segments=False),
    priority: 4
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(evaluate_settings),
        reads=reads("vidistill.evaluation.evaluate", evaluate_settings),
        features=lambda wildcards: by_role(result_features(wildcards)),
        predictions=labelled("predictions.parquet"),
        models=labelled("model.safetensors"),
        histories=labelled("history.parquet"),
        retrievals=labelled("retrieval.parquet"),
    shell:
        "python -m vidistill.evaluation.evaluate --settings {params.settings:q} --queries {input.queries:q}"
        " --moments {input.moments:q} --problems {input.problems:q} --features {params.features:q}"
        " --predictions {params.predictions:q} --models {params.models:q} --histories {params.histories:q}"
        " --retrievals {params.retrievals:q}"
        " --efficiency {input.efficiency:q} --result {output.result:q} --predictions-out {output.predictions:q} 2>&1 | tee {log:q} >&2"


rule localisation:
    input:
        features=lambda wildcards: files_of(result_features(wildcards)),
        predictions=lambda wildcards: of_compared(wildcards, "predictions.parquet").values(),
        models=lambda wildcards: of_compared(wildcards, "model.safetensors").values(),
        histories=lambda wildcards: of_compared(wildcards, "history.parquet").values(),
        ambiguous=ambiguous_segments,
        queries="results/{dataset}/queries.parquet",
        moments="results/{dataset}/moments.parquet",
        problems="results/{dataset}/problems.csv",
        efficiency="results/{dataset}/{model}/efficiency.json",
    output:
        "results/{model}_{dataset}.json",
    log:
        "results/logs/localisation/{dataset}/{model}.log",
    wildcard_constraints:
        model=finding(segments=True),
    priority: 4
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(localisation_settings),
        reads=reads("vidistill.evaluation.localisation", localisation_settings),
        content=content(ambiguous_segments),
        features=lambda wildcards: by_role(result_features(wildcards)),
        predictions=labelled("predictions.parquet"),
        models=labelled("model.safetensors"),
        histories=labelled("history.parquet"),
    shell:
        "python -m vidistill.evaluation.localisation --settings {params.settings:q} --queries {input.queries:q}"
        " --moments {input.moments:q} --problems {input.problems:q} --features {params.features:q}"
        " --predictions {params.predictions:q} --models {params.models:q} --histories {params.histories:q}"
        " --efficiency {input.efficiency:q} --output {output:q} 2>&1 | tee {log:q} >&2"


rule tables:
    input:
        results=results_of_tables,
        efficiency="results/{dataset}/efficiency.json",
    output:
        csv="results/tables_{dataset}.csv",
        markdown="results/tables_{dataset}.md",
    log:
        "results/logs/tables/{dataset}.log",
    priority: 5
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        settings=settings(tables_settings),
        reads=reads("vidistill.evaluation.tables", tables_settings),
        published=published,
    shell:
        "python -m vidistill.evaluation.tables --settings {params.settings:q} --results {input.results:q}"
        " --efficiency {input.efficiency:q} --csv {output.csv:q} --markdown {output.markdown:q} 2>&1 | tee {log:q} >&2"
