"""What the rules share: the checked configuration, settings and code of a stage, files that are there."""

import functools
import importlib.util
import json
import re
import shlex
import sys
from typing import NamedTuple

PACKAGE = f"{workflow.basedir}/workflow"
# Whether the command `vidistill` is this clone's: told at the end of a run.
INSTALLED = getattr(importlib.util.find_spec("vidistill"), "origin", None) == f"{PACKAGE}/vidistill/__init__.py"
sys.path.insert(0, PACKAGE)
# A plain clone runs without being installed, by the interpreter that runs Snakemake or by that of a job's own environment.
# A prefix does it, since Snakemake takes PYTHONPATH out of a conda environment's jobs.
SEARCHED = {"PYTHONPATH": PACKAGE}
if not DEPLOYMENT:
    SEARCHED["PATH"] = os.path.dirname(sys.executable)
for variable, first in SEARCHED.items():
    # Without empty entries, which stand for the working folder.
    folders = os.pathsep.join(filter(None, [first, *os.environ.get(variable, "").split(os.pathsep)]))
    SEARCHED[variable] = f"export {variable}={shlex.quote(folders)}; "
# Nor does `python -m` look for modules in the working folder: a user's random.py there would be taken for Python's own.
# In the environment for the Snakemake that runs a cluster's job, in the prefix for jobs that start without it.
os.environ["PYTHONSAFEPATH"] = "1"
SEARCHED["PYTHONSAFEPATH"] = "export PYTHONSAFEPATH=1; "
# The prefix takes the place of Snakemake's own strict mode, without which `stage | tee` would hide that a stage failed.
shell.prefix("set -euo pipefail; " + "".join(SEARCHED.values()).replace("{", "{{").replace("}", "}}"))

from vidistill.base import code, fingerprints
from vidistill.base.gpus import has_gpu
from vidistill.base.job_logs import is_final
from vidistill.base.stage import UserError, as_lines
from vidistill.planning import downloads, machine, needs, plan as plans, report as reports, targets
from vidistill.planning.config import complete
from vidistill.planning.inventory import Inventory


def told(function):
    """What the user can mend is said in sentences, without Snakemake's traceback through these files."""

    @functools.wraps(function)
    def telling(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except UserError as error:
            sys.exit(as_lines(str(error)))

    return telling


@told
def resolved():
    config.update(complete(config))
    return plans.Plan(config)


plan = resolved()
inventory = Inventory(plan)


# Snakemake records the params that are no function of files and reruns a job whose params are others than recorded.
# `reads` is what it records; `settings` says the same to the stage and is kept out of the record by taking `input`.


def settings(values):
    """The settings of a stage as one text: equal for equal ones, whatever their order."""
    return lambda wildcards, input: json.dumps(values(wildcards), sort_keys=True)


def reads(module, values, but=None):
    """What a job of a stage depends on besides files: its settings, `but` for one, and its code, as "name = value".

    `module` may be a function of wildcards; None for a stage whose code decides about nothing that is made.
    """

    def read(wildcards):
        found = module(wildcards) if callable(module) else module
        digests = code.digests(found) if found else {}
        code_of_it = [f"code of {name} = {digest[:12]}" for name, digest in digests.items()]
        return [*leaves({k: v for k, v in values(wildcards).items() if k != but}), *code_of_it]

    return read


def leaves(values, prefix=""):
    for key, value in sorted(values.items()):
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} = {json.dumps(value, sort_keys=True)}"


# Snakemake compares dates first, so that a file that was moved in with an older one would pass for the one before it. What
# a user's files hold is therefore a param; those that Snakemake would not look into are not compared by date at all.
LOOKED_INTO = 100_000_000  # bytes, as in profiles/default


def given(paths):
    """A user's files as inputs."""
    return [ancient(path) if os.path.exists(path) and os.path.getsize(path) > LOOKED_INTO else path for path in paths]


def content(files):
    """What files hold, as "name = value"; nothing of those that jobs make.

    It may not take `input`, or Snakemake would keep it out of its record.
    """
    return lambda wildcards: fingerprints.of_files(
        f for f in map(str, files(wildcards)) if not f.startswith("results/")
    )


def one_of(names):
    """A constraint on a wildcard; without names it matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def unless(kept, path):
    """A file that is deleted once all that needs it is done."""
    return path if kept else temp(path)


def gpus():
    """GPUs that a job of a network asks for: none on a machine without, or its jobs would wait for each other."""
    return 0 if config["device"] == "cpu" or not (has_gpu() or SUBMITTED) else 1


def grows(amount):
    """A resource that is larger with each attempt, since it may be for want of it that a job ended."""
    return lambda wildcards, attempt: amount * attempt


limit_memory(machine.memory_mb())
retry_what_can_succeed(is_final)


@functools.cache
def require(dataset, models=()):
    """Stop with a sentence for each thing that models on a data set lack, and for what else was asked for lacks."""
    if missing := needs.lacks(plan, dataset, plan.with_teachers(models)):
        others = (line for found in asked() for line in needs.lacks(plan, found.dataset, found.trained))
        raise UserError("\n".join(dict.fromkeys([*missing, *others])))


class Asked(NamedTuple):
    """A result, a table or a report that a run was asked for."""

    file: str
    dataset: str
    models: list[str]  # whose results it shows
    trained: list[str]  # all that it needs trained


def asked():
    """What this run was asked for: not the files on the way there, nor downloads."""
    found = []
    for file in targets_of_run():
        datasets, models = one_of(plan.datasets), one_of(plan.models)
        if about := re.fullmatch(
            rf"results/(?:({models})_({datasets})\.json|report_({models})_({datasets})\.html)", file
        ):
            model, dataset = about[1] or about[3], about[2] or about[4]
            found.append(Asked(file, dataset, [model], plan.trained(model)))
        elif about := re.fullmatch(rf"results/tables_({datasets})\.(?:csv|md)", file):
            found.append(Asked(file, about[1], plan.in_tables(), plan.trained_for_tables()))
    return found


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
