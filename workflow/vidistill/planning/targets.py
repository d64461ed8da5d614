"""Error messages for unknown targets: the closest match and the valid names."""

import difflib
import re
from collections.abc import Iterable


def result(name: str, models: Iterable[str], datasets: Iterable[str]) -> str:
    """The message for an unknown file `name` in results/."""
    models, datasets = list(models), list(datasets)
    found = re.fullmatch(r"(.*)_(.*)\.(json|csv|md)", name)
    model, dataset, suffix = found.groups() if found else (name, "", "")
    if suffix != "json":
        meant = near(f"tables_{dataset}.{suffix}", [f"tables_{one}.{suffix}" for one in datasets])
        strange = [f"data set {dataset!r}"]
    else:
        meant = near(name, [f"{one}_{other}.json" for one in models for other in datasets])
        strange = [f"model {model!r}"] if model not in models else []
        strange += [f"data set {dataset!r}"] if dataset not in datasets else []
    return (
        f"unknown {' and '.join(strange)}{meant}; models are {', '.join(models)}; data sets are {', '.join(datasets)}."
    )


def download(name: str, known: Iterable[str]) -> str:
    known = list(known)
    return f"unknown download {name!r}{near(name, known, 'download_')}; downloads are {', '.join(known) or 'none'}."


def near(name: str, known: list[str], prefix: str = "results/") -> str:
    """ ", did you mean ...", if a known name is similar."""
    found = difflib.get_close_matches(name, known, 1)
    return f", did you mean {prefix}{found[0]}" if found else ""
