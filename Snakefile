"""From raw videos and sentences to a trained grounding model: results/{model}_{dataset}.json."""

from snakemake.utils import min_version

min_version("9.19")


# The working directory's own configuration, or the one that comes with the workflow.
configfile: "config/config.yaml" if os.path.exists("config/config.yaml") else f"{workflow.basedir}/config/config.yaml"


# One process, several GPUs of its own machine: on a cluster, jobs do not compete for those of the machine that submits.
resource_scopes:
    gpu="local",


report: "workflow/report/workflow.rst"


include: "rules/internals.smk"
include: "rules/common.smk"


envvars:
    "PYTHONSAFEPATH",


include: "rules/inputs.smk"
include: "rules/inputs_of_models.smk"
include: "rules/pages.smk"
include: "rules/runs.smk"
include: "rules/finished.smk"


wildcard_constraints:
    model=one_of(plan.models),
    dataset=one_of(plan.datasets),
    collection=one_of(plan.collections),
    frames=r"frames(-[^/]+)?",
    flow=r"flow(-[^/]+)?",
    seed=r"\d+",
    shard=r"\d+",


rule all:
    input:
        "results/student_demo.json",


include: "rules/download.smk"
include: "rules/data.smk"
include: "rules/video.smk"
include: "rules/features.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/unknown.smk"
