# Videos and measurements are read from their folders, not listed as inputs: a changed video changes the result, which is
# an input, and measurements exist only for jobs that have run.
rule figures:
    input:
        pseudo_labels=lambda wildcards: exported(wildcards, "pseudo_labels").values(),
        activation_maps=lambda wildcards: exported(wildcards, "activation_maps").values(),
        features=lambda wildcards: files_of(result_features(wildcards)),
        predictions=lambda wildcards: of_compared(wildcards, "predictions.parquet").values(),
        histories=lambda wildcards: of_compared(wildcards, "history.parquet").values(),
        result="results/{model}_{dataset}.json",
        queries="results/{dataset}/queries.parquet",
        moments="results/{dataset}/moments.parquet",
    output:
        pages=[report_page(name) for name in PAGES],
        pictures=[f"{REPORT}/{name}" for name in PICTURES],
    log:
        "results/logs/figures/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/figures/{dataset}/{model}.tsv"
    wildcard_constraints:
        model=finding(segments=False),
    priority: 5
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(figures_settings),
        reads=reads("vidistill.report.figures", figures_settings),
        published=published,
        features=lambda wildcards: by_role(result_features(wildcards)),
        predictions=labelled("predictions.parquet"),
        histories=labelled("history.parquet"),
        pseudo_labels=lambda wildcards: as_options(exported(wildcards, "pseudo_labels")),
        activation_maps=lambda wildcards: as_options(exported(wildcards, "activation_maps")),
        videos=lambda wildcards: inventory.videos_folder(plan.datasets[wildcards.dataset]["collection"]) or [],
        benchmarks="results/benchmarks",
        folder=REPORT,
    shell:
        "python -m vidistill.report.figures --settings {params.settings:q} --result {input.result:q}"
        " --queries {input.queries:q} --moments {input.moments:q} --features {params.features:q}"
        " --predictions {params.predictions:q} --histories {params.histories:q}"
        " --pseudo-labels {params.pseudo_labels:q} --activation-maps {params.activation_maps:q}"
        " --videos {params.videos:q} --benchmarks {params.benchmarks:q} --folder {params.folder:q} > {log:q} 2>&1"


rule action_figures:
    input:
        activation_maps=of_first_seed("activation_maps.parquet"),
        model=of_first_seed("model.safetensors"),
        features=lambda wildcards: files_of(result_features(wildcards)),
        predictions=lambda wildcards: of_compared(wildcards, "predictions.parquet").values(),
        histories=lambda wildcards: of_compared(wildcards, "history.parquet").values(),
        result="results/{model}_{dataset}.json",
        queries="results/{dataset}/queries.parquet",
        moments="results/{dataset}/moments.parquet",
    output:
        pages=[report_page(name, ACTION_PAGES, "actions/") for name in ACTION_PAGES],
        pictures=[f"{REPORT}/{name}" for name in ACTION_PICTURES],
    log:
        "results/logs/action_figures/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/action_figures/{dataset}/{model}.tsv"
    wildcard_constraints:
        model=finding(segments=True, external=False),
    priority: 5
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=settings(action_figures_settings),
        reads=reads("vidistill.report.action_figures", action_figures_settings),
        published=published,
        features=lambda wildcards: by_role(result_features(wildcards)),
        predictions=labelled("predictions.parquet"),
        histories=labelled("history.parquet"),
        videos=lambda wildcards: inventory.videos_folder(plan.datasets[wildcards.dataset]["collection"]) or [],
        benchmarks="results/benchmarks",
        folder=REPORT,
    shell:
        "python -m vidistill.report.action_figures --settings {params.settings:q} --result {input.result:q}"
        " --queries {input.queries:q} --moments {input.moments:q} --features {params.features:q}"
        " --predictions {params.predictions:q} --histories {params.histories:q} --model {input.model:q}"
        " --activation-maps {input.activation_maps:q} --videos {params.videos:q} --benchmarks {params.benchmarks:q}"
        " --folder {params.folder:q} > {log:q} 2>&1"


# The target that users name: all pages in one file. Snakemake's own report shows them one at a time.
rule overview:
    input:
        pages=report_pages,
    output:
        "results/report_{model}_{dataset}.html",
    log:
        "results/logs/overview/{dataset}/{model}.log",
    priority: 5
    conda:
        "../envs/vidistill.yaml"
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        settings=settings(overview_settings),
        reads=reads("vidistill.report.overview", overview_settings),
    shell:
        "python -m vidistill.report.overview --settings {params.settings:q} --pages {input.pages:q}"
        " --output {output:q} > {log:q} 2>&1"
