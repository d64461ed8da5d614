"""Unknown results and downloads: an error that lists the valid names, instead of Snakemake's own."""


rule unknown_result:
    input:
        unknown_result,
    output:
        "results/{result}",
    wildcard_constraints:
        # Neither a known pair of model and data set nor the output of another rule.
        result=(
            rf"(?!(?:{one_of(plan.models)})_(?:{one_of(plan.datasets)})\.json$)[^/]+_[^/]+\.json"
            rf"|tables_(?!(?:{one_of(plan.datasets)})\.(?:csv|md)$)[^/]+\.(?:csv|md)"
        ),


rule unknown_download:
    input:
        unknown_download,
    output:
        "download_{download}",
    wildcard_constraints:
        download="[^/]+",
