"""All uses of Snakemake beyond its documented interface.

Each has a fallback, so a version of Snakemake that lacks one loses a convenience and still runs.
"""

import sys

import snakemake.jobs


def internal(path, otherwise=None):
    """An attribute of `workflow`, such as "output_settings.dryrun"."""
    part = workflow
    for name in path.split("."):
        part = getattr(part, name, None)
        if part is None:
            return otherwise
    return part


# Jobs are submitted if --jobs is given; Snakemake chooses the executor only after it has read these files.
SUBMITTED = internal("resource_settings.nodes") is not None
DEPLOYMENT = [method.name.lower().replace("_", "-") for method in internal("deployment_settings.deployment_method", ())]
# Neither the process of a single cluster job nor a dry run.
IS_MAIN = internal("is_main_process", True)
IS_RUN = IS_MAIN and not internal("dryrun", False)
MAIN_SNAKEFILE = internal("main_snakefile", f"{workflow.basedir}/Snakefile")
DIRECTORY = internal("overwrite_workdir")  # of --directory
CONFIG_FILES = internal("config_settings.configfiles", ())
CONFIG_VALUES = internal("config_settings.config", {})


def targets_of_run():
    """The requested files, and the input files of requested rules."""
    dag = internal("dag")
    rules = getattr(dag, "targetrules", ())
    return sorted({*map(str, getattr(dag, "targetfiles", ())), *(str(file) for rule in rules for file in rule.input)})


def expected_jobs():
    """Each job that is to run: its rule and threads, whether it is measured, and seconds that it took in an earlier run."""
    dag = internal("dag")
    return [
        {
            "rule": job.rule.name,
            "threads": job.threads,
            "timed": job.benchmark is not None,
            "seconds": measured_seconds(job.benchmark),
        }
        for job in getattr(dag, "needrun_jobs", list)()
    ]


def measured_seconds(benchmark):
    """Seconds in Snakemake's file of measurements; None without any."""
    try:
        with open(str(benchmark)) as file:
            return float(file.readlines()[1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


def limit_memory(megabytes):
    """Run no more jobs at once than this machine has memory for, unless --resources says how much there is.

    Snakemake does not limit memory by itself. A job that asks for more than the machine has gets all of it. Submitted
    jobs run elsewhere.
    """
    given = internal("global_resources", {})
    if not SUBMITTED and not {"mem", "mem_mb", "mem_mib"}.intersection(given) and internal("register_resource"):
        workflow.register_resource("mem_mb", megabytes)


def retry_what_can_succeed(is_final):
    """Do not retry a job whose log ends in an error that only the user can fix.

    Retries are for lack of memory or time and for failing nodes; Snakemake cannot tell these from other errors.
    """

    def attempts(job):
        return 0 if any(map(is_final, job.log)) else job.rule.restart_times

    if isinstance(getattr(getattr(snakemake.jobs, "Job", None), "restart_times", None), property):
        snakemake.jobs.Job.restart_times = property(attempts)


def describe_params(text):
    """Have Snakemake's report say `text(job)` of a page's job in place of its params, which are escaped JSON."""
    record = getattr(sys.modules.get("snakemake.report"), "FileRecord", None)
    complete = getattr(record, "__post_init__", None)
    if not complete or not hasattr(record, "params"):
        return

    def described(self):
        complete(self)
        self.params = text(self.job)

    record.__post_init__ = described
