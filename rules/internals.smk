"""What the workflow reads of Snakemake beyond its documented interface.

A version that has something otherwise costs a comfort, and no run: each has a value that holds without it.
"""

import snakemake.jobs


def internal(path, otherwise=None):
    """An attribute of `workflow`, such as "output_settings.dryrun"."""
    part = workflow
    for name in path.split("."):
        part = getattr(part, name, None)
        if part is None:
            return otherwise
    return part


# Jobs are submitted, with --jobs. Which executor does it, Snakemake does not know yet while it reads these files.
SUBMITTED = internal("resource_settings.nodes") is not None
DEPLOYMENT = [method.name.lower().replace("_", "-") for method in internal("deployment_settings.deployment_method", ())]
# Not a process that runs one job of a cluster; nor a dry run.
IS_MAIN = internal("is_main_process", True)
IS_RUN = IS_MAIN and not internal("dryrun", False)
MAIN_SNAKEFILE = internal("main_snakefile", f"{workflow.basedir}/Snakefile")
DIRECTORY = internal("overwrite_workdir")  # of --directory
CONFIG_FILES = internal("config_settings.configfiles", ())
CONFIG_VALUES = internal("config_settings.config", {})


def targets_of_run():
    """The files that the run was asked for, and those that rules it was asked for need."""
    dag = internal("dag")
    rules = getattr(dag, "targetrules", ())
    return sorted({*map(str, getattr(dag, "targetfiles", ())), *(str(file) for rule in rules for file in rule.input)})


def limit_memory(megabytes):
    """Run no more jobs at once than this machine has memory for, unless --resources says how much there is.

    Snakemake knows no memory of its own. A job that asks for more than all of it gets all of it. Jobs that are submitted
    do not use this machine's.
    """
    given = internal("global_resources", {})
    if not SUBMITTED and not {"mem", "mem_mb", "mem_mib"}.intersection(given) and internal("register_resource"):
        workflow.register_resource("mem_mb", megabytes)


def retry_what_can_succeed(is_final):
    """Give a job no further attempt where its log says that the user has something to mend first.

    Retries are for memory, time and nodes. Snakemake counts them alone, and has no word for errors that would come again.
    """

    def attempts(job):
        return 0 if any(map(is_final, job.log)) else job.rule.restart_times

    if isinstance(getattr(getattr(snakemake.jobs, "Job", None), "restart_times", None), property):
        snakemake.jobs.Job.restart_times = property(attempts)
