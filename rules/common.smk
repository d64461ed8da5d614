"""What the rules share: the validated configuration, settings and code of a stage, files that are there."""

import functools
import json
import re
import shlex
import sys

from snakemake.utils import validate

PACKAGE = f"{workflow.basedir}/workflow"
sys.path.insert(0, PACKAGE)
# A plain clone runs without being installed, by the interpreter that runs Snakemake or by that of a job's own environment.
# A prefix does it, since Snakemake takes PYTHONPATH out of a conda environment's jobs.
SEARCHED = {"PYTHONPATH": PACKAGE}
if not workflow.deployment_settings.deployment_method:
    SEARCHED["PATH"] = os.path.dirname(sys.executable)
for variable, first in SEARCHED.items():
    folders = os.pathsep.join(filter(None, [first, os.environ.get(variable)]))
    SEARCHED[variable] = f"export {variable}={shlex.quote(folders)}; "
# The prefix takes the place of Snakemake's own strict mode, without which `stage | tee` would hide that a stage failed.
shell.prefix("set -euo pipefail; " + "".join(SEARCHED.values()).replace("{", "{{").replace("}", "}}"))

from mmdist import code, downloads, machine, plan as plans, shown, unknown
from mmdist.gpus import has_gpu
from mmdist.inventory import Inventory
from mmdist.stage import UserError

SECTIONS = "downloads demo decode flow i3d c3d external vocabulary train export evaluate figures".split()


def told(function):
    """What the user can mend is said in sentences, without Snakemake's traceback through these files."""

    @functools.wraps(function)
    def telling(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except UserError as error:
            sys.exit("\n".join(f"error: {line}" for line in str(error).splitlines()))

    return telling


@told
def validated(config):
    """The configuration as its schema wants it, defaults filled in."""

    def check(part, where, schema, **options):
        try:
            validate(part, f"../workflow/schemas/{schema}.yaml", **options)
        except WorkflowError as error:
            problem = error.__context__
            raise UserError(plans.explain(config, [*where, *problem.absolute_path], problem.message))

    # Defaults come after the check: within it they would be filled into what only differs from a section.
    check(config, [], "config.schema", set_default=False)
    for part in ("tables", "recipes"):
        config.setdefault(part, {})
    plans.fill_in_recipes(config)
    for name, collection in config["collections"].items():
        for stream, about in collection["streams"].items():
            check(
                plans.own_keys(about), ["collections", name, "streams", stream], about["extractor"], set_default=False
            )
    check(config, [], "general")
    for section in SECTIONS:
        check(config.setdefault(section, {}), [section], section)
    queries = {}
    check(queries, [], "queries")
    for dataset in config["datasets"].values():
        dataset.update({**queries, **dataset})
    downloads.targets(config["downloads"])  # which says what does not fit
    return config


@told
def resolved(config):
    return plans.Plan(config)


plan = resolved(validated(config))
inventory = Inventory(plan)


# Snakemake records the params that are no function of files and reruns a job whose params are others than recorded.
# `reads` is what it records; `settings` says the same to the stage and is kept out of the record by taking `input`.


def settings(values):
    """The settings of a stage as one text: equal for equal ones, whatever their order."""
    return lambda wildcards, input: json.dumps(values(wildcards), sort_keys=True)


def reads(module, values, but=None):
    """What a job of a stage depends on besides files: its settings, `but` for one, and its code, as "name = value"."""
    code_of_it = [f"code of {name} = {digest[:12]}" for name, digest in code.digests(module).items()]
    return lambda wildcards: [*leaves({k: v for k, v in values(wildcards).items() if k != but}), *code_of_it]


def leaves(values, prefix=""):
    for key, value in sorted(values.items()):
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} = {json.dumps(value, sort_keys=True)}"


def one_of(names):
    """A constraint on a wildcard; without names it matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def unless(kept, path):
    """A file that is deleted once all that needs it is done."""
    return path if kept else temp(path)


# Jobs are submitted, with --jobs. Which executor does it, Snakemake does not know yet while it reads these files.
SUBMITTED = workflow.resource_settings.nodes is not None


def gpus():
    """GPUs that a job of a network asks for: none on a machine without, or its jobs would wait for each other."""
    return 0 if config["device"] == "cpu" or not (has_gpu() or SUBMITTED) else 1


def grows(amount):
    """A resource that is larger with each attempt, since it may be for want of it that a job ended."""
    return lambda wildcards, attempt: amount * attempt


# Snakemake knows no memory of its own: locally no more jobs run at once than this machine has memory for, and a job that
# asks for more than all of it gets all of it. What is submitted, or given by --resources, is not this machine's matter.
if not SUBMITTED and not {"mem", "mem_mb", "mem_mib"}.intersection(workflow.global_resources):
    workflow.register_resource("mem_mb", machine.memory_mb())


@functools.cache
def require(dataset, models):
    """Stop with a sentence for each thing that is not there; once for each request."""
    if missing := inventory.lacks(dataset, plan.roles(models)):
        raise UserError("\n".join(missing))


@functools.cache
def features(dataset, models):
    """The files of features that models read in a data set, by role."""
    require(dataset, models)
    collection = plan.datasets[dataset]["collection"]
    return {
        role: [
            f"results/features/{collection}/{plan.stream(dataset, role)}/{shard}.h5"
            for shard in inventory.shard_numbers(dataset, role)
        ]
        for role in plan.roles(models)
    }


def files_of(by_stream):
    return [file for shards in by_stream.values() for file in shards]


def by_role(by_stream):
    """Files of features as a command line takes them, STREAM=H5."""
    return [f"{role}={file}" for role, shards in by_stream.items() for file in shards]


# What data.smk asks for.


def demo_settings(wildcards):
    return config["demo"]


def queries_settings(wildcards):
    return plan.queries(wildcards.dataset)


def vocabulary_settings(wildcards):
    return plan.vocabulary(wildcards.dataset)


@told
def annotations(wildcards):
    """Annotation files, and the videos whose durations they do not give."""
    dataset = wildcards.dataset
    require(dataset, ())
    about = plan.queries(dataset)
    files = [file for files in about["annotations"].values() for file in files]
    return {"files": [*files, *about["durations"]], "videos": inventory.undated_videos(dataset)}


def videos_folder(wildcards, input):
    """Named on the command line in place of its files, since they may be more than a command can hold."""
    return inventory.videos_folder(plan.datasets[wildcards.dataset]["collection"]) if input.videos else []


@told
def word_vectors(wildcards):
    require(wildcards.dataset, ())
    return plan.vocabulary(wildcards.dataset)["word_vectors"] or []


# What video.smk asks for.


def decode_settings(wildcards):
    return plan.decode(wildcards.collection, wildcards.frames)


def flow_settings(wildcards):
    return plan.flow(wildcards.collection, wildcards.flow)


@told
def shard_videos(wildcards):
    return inventory.shard_videos(wildcards.collection, int(wildcards.shard))


@told
def dangling_links(wildcards):
    return inventory.dangling_links(wildcards.collection, int(wildcards.shard))


# What features.smk asks for.


STREAMS = [(collection, stream) for collection, about in plan.collections.items() for stream in about["streams"]]


def made_by(rule):
    """A constraint for {stream}, which is COLLECTION/STREAM here: one rule cannot tell from either alone who makes it."""
    return one_of(f"{c}/{s}" for c, s in STREAMS if plan.made_by(c, s) == rule)


def stream_of(wildcards):
    return wildcards.stream.split("/")


def stream_settings(wildcards):
    return plan.features(*stream_of(wildcards))


def flow_features_settings(wildcards):
    return plan.flow_features(*stream_of(wildcards))


def extractor_input(wildcards):
    collection, stream = stream_of(wildcards)
    return f"results/videos/{collection}/{plan.extracted_from(collection, stream)}/{wildcards.shard}.h5"


def frames_of_flow(wildcards):
    collection, stream = stream_of(wildcards)
    folder = plan.frames_of(collection, plan.extracted_from(collection, stream))
    return f"results/videos/{collection}/{folder}/{wildcards.shard}.h5"


@told
def existing_features(wildcards):
    return inventory.existing_features(*stream_of(wildcards), int(wildcards.shard))


@told
def shard_ids(wildcards):
    collection, _ = stream_of(wildcards)
    return json.dumps(inventory.shard_ids(collection, int(wildcards.shard), extracted=False))


# What train.smk asks for.


def videos_settings(wildcards):
    return plan.videos(wildcards.dataset, wildcards.model)


def train_settings(wildcards):
    return plan.train(wildcards.dataset, wildcards.model, int(wildcards.seed))


def export_settings(wildcards):
    return plan.export()


@told
def lessons(wildcards):
    """What the model's teachers know, of the same seed; nothing for a model without any."""
    tables = {"pseudo_labels": [], "activation_maps": []}
    for teacher in plan.teachers(wildcards.model):
        for table, paths in tables.items():
            if isinstance(teacher, str):
                paths.append(f"results/{wildcards.dataset}/{teacher}/seed-{wildcards.seed}/{table}.parquet")
            else:
                paths.append(teacher[table].replace("{seed}", wildcards.seed))
                if not os.path.exists(paths[-1]):
                    raise UserError(
                        f"{paths[-1]} does not exist, which models.{wildcards.model}.teachers names; correct it there."
                    )
    return tables


@told
def model_features(wildcards):
    return features(wildcards.dataset, (wildcards.model,))


@told
def memory_of_features(wildcards, attempt):
    """MB for a network, and for its features, which are in memory twice while they are read."""
    features = inventory.feature_bytes(wildcards.dataset, wildcards.model)
    return (5000 + 2 * features // 10**6) * attempt


# What evaluate.smk asks for.


def evaluate_settings(wildcards):
    return plan.evaluate(wildcards.dataset, wildcards.model)


def tables_settings(wildcards):
    return plan.tables(wildcards.dataset)


def of_compared(wildcards, name):
    """A file of every model in a result and of every seed, by the label that the command line wants."""
    return {
        f"{model}:{seed}": f"results/{wildcards.dataset}/{model}/seed-{seed}/{name}"
        for model in plan.compared(wildcards.model)
        for seed in plan.seeds(wildcards.dataset)
    }


def labelled(name):
    return lambda wildcards: as_options(of_compared(wildcards, name))


def as_options(files):
    """Files by label as a command line takes them, LABEL=FILE."""
    return [f"{label}={file}" for label, file in files.items()]


@told
def result_features(wildcards):
    """The features of the result's own model; first of all, whatever is missing for any model that it needs is said."""
    require(wildcards.dataset, tuple(plan.trained(wildcards.model)))
    return features(wildcards.dataset, (wildcards.model,))


# What report.smk asks for.


def figures_settings(wildcards):
    return shown.figures(plan, wildcards.dataset, wildcards.model)


def overview_settings(wildcards):
    return shown.overview(wildcards.dataset, wildcards.model)


REPORT = "results/report/{dataset}/{model}"
# Page: where it stands in Snakemake's report, which sorts by name, and its title there.
PAGES = {
    "results": ("1 Results", "1 Beside the paper"),
    "recall": ("1 Results", "2 R@m over all m"),
    "failures": ("1 Results", "3 Where predictions fail"),
    "queries-best": ("2 Queries", "1 The best"),
    "queries-median": ("2 Queries", "2 In the middle"),
    "queries-worst": ("2 Queries", "3 The worst"),
    "losses": ("3 Training", "1 Loss curves"),
    "agreement": ("3 Training", "2 Pseudo labels"),
    "coverage": ("4 Data", "1 Coverage"),
    "frames": ("4 Data", "2 Frames and flow"),
    "costs": ("5 Cost", "1 Time and memory"),
}
PICTURES = ("losses.svg", "agreement.svg", "recall.svg", "failures.svg", "frames.png")


def report_page(name):
    """A page, with its caption and its place in the report."""
    category, title = PAGES[name]
    caption = f"../workflow/report/{name}.rst"
    return report(f"{REPORT}/{name}.html", caption=caption, category=category, labels={"figure": title})


def exported(wildcards, table):
    """What each model in a report, and each teacher, knows: the files of one table by label."""
    dataset, model, seeds = wildcards.dataset, wildcards.model, plan.seeds(wildcards.dataset)
    paths = {name: f"results/{dataset}/{name}/seed-{{seed}}/{table}.parquet" for name in shown.exported(plan, model)}
    paths |= {name: about[table] for name, about in shown.elsewhere(plan, model).items()}
    return {f"{name}:{seed}": path.replace("{seed}", str(seed)) for name, path in paths.items() for seed in seeds}
