rule evaluate:
    input:
        features=lambda wildcards: files_of(result_features(wildcards)),
        predictions=lambda wildcards: of_compared(wildcards, "predictions.parquet").values(),
        models=lambda wildcards: of_compared(wildcards, "model.safetensors").values(),
        histories=lambda wildcards: of_compared(wildcards, "history.parquet").values(),
        queries="results/{dataset}/queries.parquet",
        moments="results/{dataset}/moments.parquet",
        problems="results/{dataset}/problems.csv",
    output:
        result="results/{model}_{dataset}.json",
        predictions="results/{dataset}/{model}/predictions.jsonl",
    log:
        "results/logs/evaluate/{dataset}/{model}.log",
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
    shell:
        "python -m vidistill.evaluation.evaluate --settings {params.settings:q} --queries {input.queries:q}"
        " --moments {input.moments:q} --problems {input.problems:q} --features {params.features:q}"
        " --predictions {params.predictions:q} --models {params.models:q} --histories {params.histories:q}"
        " --result {output.result:q} --predictions-out {output.predictions:q} 2>&1 | tee {log:q} >&2"


rule tables:
    input:
        results=results_of_tables,
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
    shell:
        "python -m vidistill.evaluation.tables --settings {params.settings:q} --results {input.results:q}"
        " --csv {output.csv:q} --markdown {output.markdown:q} 2>&1 | tee {log:q} >&2"
