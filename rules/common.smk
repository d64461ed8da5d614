"""What the rules share: the validated configuration, settings and code of a stage, files that are there."""

import functools
import json
import re
import shlex
import sys

from snakemake.utils import validate

PACKAGE = f"{workflow.basedir}/workflow"
sys.path.insert(0, PACKAGE)
# A plain clone runs without being installed. A prefix, since Snakemake takes PYTHONPATH out of a conda environment's jobs.
SEARCH = os.pathsep.join(filter(None, [PACKAGE, os.environ.get("PYTHONPATH")]))
shell.prefix("export PYTHONPATH={}; ".format(shlex.quote(SEARCH).replace("{", "{{").replace("}", "}}")))

from mmdist import code, plan as plans
from mmdist.inventory import DEMO_VIDEOS, Inventory
from mmdist.stage import UserError

SECTIONS = ("demo", "decode", "flow", "i3d", "c3d", "external", "vocabulary", "train", "export", "evaluate")
# The interpreter that runs Snakemake has what the stages need, unless each has an environment of its own.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable


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
    return config


@told
def resolved(config):
    return plans.Plan(config)


plan = resolved(validated(config))
inventory = Inventory(plan)


def settings(values):
    """What a stage reads, as one text: equal for equal settings, whatever their order."""
    return json.dumps(values, sort_keys=True)


def one_of(names):
    """A constraint on a wildcard; without names it matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def unless(kept, path):
    """A file that is deleted once all that needs it is done."""
    return path if kept else temp(path)


def gpus():
    return 0 if config["device"] == "cpu" else 1


@functools.cache
def require(dataset, models):
    """Stop with a sentence for each thing that is not there; once for each request."""
    if missing := inventory.lacks(dataset, plan.roles(models)):
        raise UserError("\n".join(missing))


def features(dataset, models):
    """The files of features that models read in a data set, by role."""
    require(dataset, tuple(models))
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
