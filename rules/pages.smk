"""The pages and pictures of reports, and their places in Snakemake's report."""

REPORT = "results/report/{dataset}/{model}"
# Page -> its section and title in Snakemake's report, which sorts by name.
PAGES = {
    "results": ("1 Results", "1 Metrics and published numbers"),
    "recall": ("1 Results", "2 R@m over all m"),
    "failures": ("1 Results", "3 Where predictions fail"),
    "queries-best": ("2 Queries", "1 Best queries"),
    "queries-median": ("2 Queries", "2 Typical queries"),
    "queries-worst": ("2 Queries", "3 Worst queries"),
    "losses": ("3 Training", "1 Loss curves"),
    "agreement": ("3 Training", "2 Pseudo labels"),
    "coverage": ("4 Data", "1 Coverage"),
    "frames": ("4 Data", "2 Frames and flow"),
    "efficiency": ("5 Cost", "1 Accuracy over latency"),
    "costs": ("5 Cost", "2 Time and memory"),
}
PICTURES = ("losses.svg", "agreement.svg", "recall.svg", "efficiency.svg", "failures.svg", "frames.png")
# The same of models that find segments of labels; a caption of its own is in workflow/report/actions/.
ACTION_PAGES = {
    "results": ("1 Results", "1 Metrics and published numbers"),
    "precision": ("1 Results", "2 mAP over all t"),
    "classes": ("1 Results", "3 Classes"),
    "videos-best": ("2 Videos", "1 Best videos"),
    "videos-median": ("2 Videos", "2 Typical videos"),
    "videos-worst": ("2 Videos", "3 Worst videos"),
    "losses": ("3 Training", "1 Loss curves"),
    "rounds": ("3 Training", "2 Pseudo labels by round"),
    "labels": ("3 Training", "3 Pseudo labels of videos"),
    **{name: PAGES[name] for name in ("coverage", "frames", "costs")},
}
ACTION_PICTURES = ("precision.svg", "classes.svg", "losses.svg", "rounds.svg", "labels.svg", "frames.png")


def report_page(name, pages=PAGES, folder=""):
    """A page, with its caption and its place in the report."""
    category, title = pages[name]
    own = f"{folder}{name}.rst"
    caption = own if os.path.exists(f"{workflow.basedir}/workflow/report/{own}") else f"{name}.rst"
    caption = f"../workflow/report/{caption}"
    return report(f"{REPORT}/{name}.html", caption=caption, category=category, labels={"figure": title})


@told
def report_pages(wildcards):
    """The pages of a model's report, in its order."""
    if plan.is_external(wildcards.model) and plan.finds_segments(wildcards.model):
        raise UserError(
            f"results/report_{wildcards.model}_{wildcards.dataset}.html: a report shows how a model of actions came to "
            "its segments, and these were made elsewhere; ask for its result or for the tables, or compare a model "
            "that is trained here with it (compare_with)."
        )
    names = ACTION_PAGES if plan.finds_segments(wildcards.model) else PAGES
    return [f"results/report/{wildcards.dataset}/{wildcards.model}/{name}.html" for name in names]


def differing_settings(job):
    """Of a page's job, the settings that differ from the defaults."""
    about = job.wildcards
    found = differences.of_result(plan, about.dataset, about.model)
    return f"Settings that differ from the defaults: {'; '.join(found)}." if found else "All settings are the defaults."


describe_params(differing_settings)
