"""What a run tells: at its beginning how long its jobs took before; at its end the requested results, how to ask a model a
question, how to open the report.
"""

import shutil

AT_ONCE = 3  # models whose commands are told
SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")  # that Snakemake finds by itself


def last_lines():
    """The next steps with the results of this run; empty if no result was requested."""
    made = [found for found in asked() if os.path.exists(found.file)]
    results = {}  # file -> its model and data set
    for found in made:
        for model in found.models[:1] if "tables_" in found.file else found.models:
            results[f"results/{model}_{found.dataset}.json"] = model, found.dataset
    results = dict(list(results.items())[:AT_ONCE])
    reports = {f"results/report_{model}_{dataset}.html" for model, dataset in results.values()}
    files = [found.file for found in made]
    lines = [("Done", ", ".join(files))] if made else []
    lines += [("Ask a video", words) for words in filter(None, map(question, results, results.values()))]
    lines += (
        [("See the report", f"open {' '.join(sorted(reports & set(files)))} in a browser")]
        if reports & set(files)
        else []
    )
    if absent := sorted(reports - set(files)):
        lines.append(("See the report", run_of_snakemake(*absent)))
    return [f"{what + ':':16}{words}" for what, words in lines]


def question(result, about):
    """The command that asks a result's model; None if this interpreter has no PyTorch, as with --sdm conda."""
    model, dataset = about
    if not importlib.util.find_spec("torch"):
        return None
    collection = plan.datasets[dataset]["collection"]
    roles = plan.roles([model])
    command, asked_for = ("locate", []) if plan.finds_segments(model) else ("ground", ['"a sentence"'])
    given = ["VIDEO", *asked_for, "--model", located(result)]
    if not all(plan.is_extracted(collection, plan.stream(dataset, role)) for role in roles):
        features = [f"{role}=FEATURES.h5" for role in roles]  # this project cannot extract them
        given = [*given[1:], "--features", *features, "--video-id", "ID"]
    return " ".join([vidistill_command(), command, *given])


def run_of_snakemake(*targets):
    """The command for other targets with the Snakefile, folder and configuration of this run."""
    words = [*(installed("snakemake") or [*installed("python3"), "-m", "snakemake"]), "--cores", "1", *targets]
    default = next(filter(os.path.exists, SNAKEFILES), None)
    if DIRECTORY or not default or not os.path.samefile(default, MAIN_SNAKEFILE):
        words += ["--snakefile", shown_path(MAIN_SNAKEFILE)]
    if DIRECTORY:
        words += ["--directory", os.getcwd()]
    if CONFIG_FILES:
        words += ["--configfile", *map(shown_path, CONFIG_FILES)]
    if CONFIG_VALUES:
        words += ["--config", *(f"{key}={json.dumps(value)}" for key, value in CONFIG_VALUES.items())]
    if DEPLOYMENT:
        words += ["--sdm", *DEPLOYMENT]
    return shlex.join(words)


def vidistill_command():
    """This clone's installed command, or else one that works without installation."""
    if INSTALLED and (words := installed("vidistill")):
        return shlex.join(words)
    return f"PYTHONPATH={shlex.quote(shown_path(PACKAGE))} {shlex.join(installed('python3') or [sys.executable])} -m vidistill"


def installed(name):
    """A command of the environment that runs Snakemake: by name if it is on the PATH, else by path; empty if absent."""
    script = os.path.join(os.path.dirname(sys.executable), name)
    if not os.path.exists(script):
        return []
    found = shutil.which(name)
    return [name if found and os.path.dirname(found) == os.path.dirname(script) else shown_path(script)]


def located(file):
    """A file of the run, as seen from where the run was started."""
    return shlex.quote(os.path.abspath(file) if DIRECTORY else file)


def shown_path(path):
    """A path relative to where the run was started if it lies below, else absolute."""
    relative = os.path.relpath(path)
    return str(path) if DIRECTORY or relative.startswith("..") else relative


# For the time left, which the terminal shows (workflow/snakemake_logger_plugin_vidistill); others show nothing of it.
onstart:
    logger.info("", extra={"expected_jobs": expected_jobs()})


onsuccess:
    for line in last_lines():
        logger.info(line)
