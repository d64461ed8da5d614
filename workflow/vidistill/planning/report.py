"""The report, for the rules: settings of stage `figures`, and what it reads.

Light, like everything the rules import.
"""

from collections.abc import Iterable

from vidistill.planning import supervision
from vidistill.planning.plan import Plan, Settings, merge


def exported(plan: Plan, model: str) -> list[str]:
    """Models whose pseudo labels and maps a report shows: the model, its teachers in this configuration, and the model
    of its labels."""
    return [] if plan.is_external(model) else [model, *supervision.teachers(plan.models, model)]


def elsewhere(plan: Plan, model: str) -> dict[str, Settings]:
    """The model's external teachers: name -> their tables."""
    return {teacher["name"]: teacher for teacher in plan.elsewhere(model)}


def figures(plan: Plan, dataset: str, model: str) -> Settings:
    """Settings of stage `figures`."""
    collection = plan.datasets[dataset]["collection"]
    named = [t if isinstance(t, str) else str(t.get("model") or t["name"]) for t in plan.teachers(model)]
    teachers = list(dict.fromkeys([*named, *exported(plan, model)[1:]]))
    frames, flow = _folders(plan, dataset, exported(plan, model))
    return {
        **plan.config["figures"],
        "evaluate": plan.evaluate(dataset, model),
        "teachers": teachers,
        "exported": [*exported(plan, model), *elsewhere(plan, model)],
        "collection": collection,
        "decode": plan.decode(collection, frames),
        "flow": _on_cpu(plan.flow(collection, flow)) if flow else None,
    }


def action_figures(plan: Plan, dataset: str, model: str) -> Settings:
    """Settings of stage `action_figures`."""
    collection = plan.datasets[dataset]["collection"]
    frames, flow = _folders(plan, dataset, [model])
    return {
        **plan.config["figures"],
        "localisation": plan.localisation(dataset, model),
        "collection": collection,
        "decode": plan.decode(collection, frames),
        "flow": _on_cpu(plan.flow(collection, flow)) if flow else None,
    }


def overview(dataset: str, model: str) -> Settings:
    """Settings of stage `overview`."""
    return {"dataset": dataset, "model": model}


def _folders(plan: Plan, dataset: str, models: Iterable[str]) -> tuple[str, str | None]:
    """The folders of frames and flow to show: those of the first stream of the models.

    A report that shows flow shows the frames from which it is computed.
    """
    collection = plan.datasets[dataset]["collection"]
    streams = [plan.stream(dataset, role) for role in plan.roles(models)]
    made = [plan.extracted_from(collection, name) for name in streams if plan.is_extracted(collection, name)]
    if flow := next((folder for folder in made if folder.startswith("flow")), None):
        return plan.frames_of(collection, flow), flow
    return next(iter(made), "frames"), None


def _on_cpu(flow: Settings) -> Settings:
    """Settings for the CPU: a few pictures need no GPU."""
    instead = {"opencv-cuda": "opencv-cpu"}.get(flow["backend"], flow["backend"])
    return merge(flow, {"device": "cpu", "backend": instead})
