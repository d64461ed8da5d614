def of_compared(wildcards, name):
    """A file of every model in a result and of every seed, by the label that the command line wants."""
    return {
        f"{model}:{seed}": f"results/{wildcards.dataset}/{model}/seed-{seed}/{name}"
        for model in plan.compared(wildcards.model)
        for seed in plan.seeds(wildcards.dataset)
    }


def labelled(name):
    return lambda wildcards: [f"{label}={file}" for label, file in of_compared(wildcards, name).items()]


@told
def result_features(wildcards):
    """The features of the result's own model; first of all, whatever is missing for any model that it needs is said."""
    require(wildcards.dataset, tuple(plan.trained(wildcards.model)))
    return features(wildcards.dataset, (wildcards.model,))


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
        "../envs/mmdist.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=60,
    params:
        settings=lambda wildcards: settings(plan.evaluate(wildcards.dataset, wildcards.model)),
        code=code.digest("mmdist.evaluate"),
        features=lambda wildcards: by_role(result_features(wildcards)),
        predictions=labelled("predictions.parquet"),
        models=labelled("model.safetensors"),
        histories=labelled("history.parquet"),
    shell:
        "{PYTHON:q} -m mmdist.evaluate --settings {params.settings:q} --queries {input.queries:q}"
        " --moments {input.moments:q} --problems {input.problems:q} --features {params.features:q}"
        " --predictions {params.predictions:q} --models {params.models:q} --histories {params.histories:q}"
        " --result {output.result:q} --predictions-out {output.predictions:q} 2>&1 | tee {log:q} >&2"
