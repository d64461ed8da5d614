"""Shared by all rules: the checked configuration, settings and code digests of stages, requested targets."""

import functools
import importlib.util
import json
import re
import shlex
import sys
from typing import NamedTuple

PACKAGE = f"{workflow.basedir}/workflow"
# Whether the installed command `vidistill` belongs to this clone; the last lines of a run depend on it.
INSTALLED = getattr(importlib.util.find_spec("vidistill"), "origin", None) == f"{PACKAGE}/vidistill/__init__.py"
sys.path.insert(0, PACKAGE)
# A clone runs without installation, with the interpreter that runs Snakemake or that of a job's own environment. This needs
# a shell prefix, since Snakemake removes PYTHONPATH in jobs with a conda environment.
SEARCHED = {"PYTHONPATH": PACKAGE}
if not DEPLOYMENT:
    SEARCHED["PATH"] = os.path.dirname(sys.executable)
for variable, first in SEARCHED.items():
    # Without empty entries, which would mean the working folder.
    folders = os.pathsep.join(filter(None, [first, *os.environ.get(variable, "").split(os.pathsep)]))
    SEARCHED[variable] = f"export {variable}={shlex.quote(folders)}; "
# `python -m` must not import modules from the working folder: a user's random.py there would replace Python's own. Set in
# the environment for the Snakemake of cluster jobs, and in the prefix for jobs that start without this environment.
os.environ["PYTHONSAFEPATH"] = "1"
SEARCHED["PYTHONSAFEPATH"] = "export PYTHONSAFEPATH=1; "
# The prefix replaces Snakemake's own strict mode, without which `stage | tee` would hide failures of the stage.
shell.prefix("set -euo pipefail; " + "".join(SEARCHED.values()).replace("{", "{{").replace("}", "}}"))

from vidistill.base import code, fingerprints
from vidistill.base.gpus import has_gpu
from vidistill.base.job_logs import is_final
from vidistill.base.stage import UserError, as_lines
from vidistill.planning import differences, downloads, machine, needs, plan as plans, report as reports, targets
from vidistill.planning.config import complete
from vidistill.planning.inventory import Inventory


def told(function):
    """Print UserErrors as sentences, without Snakemake's traceback through these files."""

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


# Snakemake records params that do not depend on files, and reruns a job when they change. It records `reads`. `settings`
# passes the same to the stage, and takes `input` so that it is not recorded.


def settings(values):
    """The settings of a stage as one text, independent of their order."""
    return lambda wildcards, input: json.dumps(values(wildcards), sort_keys=True)


def reads(module, values, but=None):
    """What a job depends on besides files, as "name = value": its settings (except `but`) and its code.

    `module` may be several, or a function of wildcards; None for a stage whose code decides about nothing that is made.
    """

    def read(wildcards):
        found = module(wildcards) if callable(module) else module
        modules = [found] if isinstance(found, str) else found or ()
        digests = {name: digest for one in modules for name, digest in code.digests(one).items()}
        code_of_it = [f"code of {name} = {digest[:12]}" for name, digest in digests.items()]
        return [*leaves({k: v for k, v in values(wildcards).items() if k != but}), *code_of_it]

    return read


def leaves(values, prefix=""):
    for key, value in sorted(values.items()):
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} = {json.dumps(value, sort_keys=True)}"


# Snakemake compares dates first, so a file that is moved in with an older date would not be noticed. Digests of a user's
# files are therefore params. Files too large for Snakemake's own checksums are not compared by date at all.
LOOKED_INTO = 100_000_000  # bytes, as in profiles/default


def given(paths):
    """A user's files as inputs."""
    return [ancient(path) if os.path.exists(path) and os.path.getsize(path) > LOOKED_INTO else path for path in paths]


def content(files):
    """Digests of files as "name = value", except files made by jobs.

    It may not take `input`, or Snakemake would keep it out of its record.
    """
    return lambda wildcards: fingerprints.of_files(
        f for f in map(str, files(wildcards)) if not f.startswith("results/")
    )


# Tables and reports show published numbers; the digest stands without its path, which differs from clone to clone.
PUBLISHED = fingerprints.whole([f"{PACKAGE}/vidistill/evaluation/published.csv"])[0].rpartition(" ")[2]


def published(wildcards):
    return f"published numbers = {PUBLISHED}"


def one_of(names):
    """A wildcard constraint; it matches nothing without names."""
    return "|".join(map(re.escape, names)) or "(?!)"


def unless(kept, path):
    """A temporary file, unless `kept`: Snakemake deletes it after its last use."""
    return path if kept else temp(path)


def gpus():
    """GPUs that a network's job requests: 0 on a machine without GPUs, whose jobs would wait for each other."""
    return 0 if config["device"] == "cpu" or not (has_gpu() or SUBMITTED) else 1


def alone(threads):
    """Threads of a job that measures time: all cores of this machine, so that no other job runs beside it; a job that is
    submitted asks for what it uses."""
    return threads if SUBMITTED else internal("resource_settings.cores") or threads


def grows(amount):
    """A resource that grows with each attempt, since the job may have failed for lack of it."""
    return lambda wildcards, attempt: amount * attempt


limit_memory(machine.memory_mb())
retry_what_can_succeed(is_final)


@functools.cache
def require(dataset, models=()):
    """Stop with one message per missing file of models on a data set, and of all other requested targets."""
    if missing := needs.lacks(plan, dataset, plan.with_teachers(models)):
        others = (line for found in asked() for line in needs.lacks(plan, found.dataset, found.trained))
        raise UserError("\n".join(dict.fromkeys([*missing, *others])))


class Asked(NamedTuple):
    """A requested result, table or report."""

    file: str
    dataset: str
    models: list[str]  # whose results it shows
    trained: list[str]  # all that it needs trained


def asked():
    """The requested results, tables and reports, without intermediate files and downloads."""
    found = []
    for file in targets_of_run():
        datasets, models = one_of(plan.datasets), one_of(plan.models)
        if about := re.fullmatch(
            rf"results/(?:({models})_({datasets})\.json|report_({models})_({datasets})\.html)", file
        ):
            model, dataset = about[1] or about[3], about[2] or about[4]
            found.append(Asked(file, dataset, [model], plan.trained(model)))
        elif about := re.fullmatch(rf"results/tables_({datasets})\.(?:csv|md)", file):
            found.append(Asked(file, about[1], plan.in_tables(about[1]), plan.trained_for_tables(about[1])))
    return found


@functools.cache
def features(dataset, models):
    """Feature files that models read in a data set, by role."""
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
    """Feature files as command-line arguments STREAM=H5."""
    return [f"{role}={file}" for role, shards in by_stream.items() for file in shards]
