"""Evaluate a file of predictions on a data set of the configuration, without a run of the workflow."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.commands.command_line import meant
from vidistill.data import moments, queries
from vidistill.evaluation import evaluate, external_predictions, inputs, localisation, terminal
from vidistill.evaluation.evaluate import EvaluateSettings
from vidistill.evaluation.inputs import Files
from vidistill.planning.config import complete, merge
from vidistill.planning.inventory import Inventory
from vidistill.planning.plan import Plan
from vidistill.settings.localisation import LocalisationSettings

CONFIG = Path("config/config.yaml")
NOT_MEASURED: dict[str, Any] = {"models": {}}
LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Evaluated:
    """The result, as the workflow writes it, its lines for the terminal, and what of the files does not fit."""

    result: dict[str, Any]
    lines: list[str]
    flaws: list[dict[str, str]]  # file, line, row, problem, used


def read_config(overlays: Sequence[Path]) -> dict[str, Any]:
    """The configuration that Snakemake would read in this folder, under `overlays`.

    Raises:
        UserError: there is none, or it is not YAML.
    """
    own = Path(__file__).resolve().parents[3] / CONFIG
    found: dict[str, Any] = {}
    base = [CONFIG] if CONFIG.exists() else [own] if own.exists() else []
    for path in [*base, *overlays]:
        try:
            found = merge(found, yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except FileNotFoundError:
            raise UserError(f"{path} does not exist; correct --configfile.") from None
        except (OSError, yaml.YAMLError, AttributeError) as error:
            raise UserError(f"{path} is not a configuration ({' '.join(str(error).split())}); correct it.") from None
    if not found:
        raise UserError(f"{CONFIG} does not exist; run in the folder of the workflow, or name it with --configfile.")
    return found


def plan_with(
    config: Mapping[str, Any], dataset: str, name: str, sources: Sequence[Path], compare_with: Sequence[str]
) -> Plan:
    """The configuration's plan with one more model, the predictions.

    Raises:
        UserError: the configuration is wrong, or has no such data set or model, or already one of this name.
    """
    datasets, models = config.get("datasets", {}), config.get("models", {})
    if dataset not in datasets:
        raise UserError(f"unknown data set {dataset!r}{meant(dataset, datasets)} data sets are {', '.join(datasets)}.")
    for other in compare_with:
        if other not in models:
            raise UserError(f"unknown model {other!r}{meant(other, models)} models are {', '.join(models)}.")
    if name in models:
        raise UserError(f"{name} is a model of the configuration; give the predictions another --name.")
    of_moments = all(source.suffix.lower() in LINES for source in sources)
    model = {"predictions": str(sources[0]), "task": "grounding" if of_moments else "localization"}
    of_labels = datasets[dataset].get("task") == "localization"
    if not of_moments and not of_labels:
        raise UserError(
            f"{sources[0]}: the data set {dataset} has sentences; give predictions of moments as JSON lines (.jsonl)."
        )
    return Plan(complete(merge(config, {"models": {name: {**model, "compare_with": list(compare_with)}}})))


def name_of(source: Path) -> str:
    """A model's name from that of its file."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", source.stem).strip("-.") or "predictions"


def run(plan: Plan, dataset: str, name: str, sources: Sequence[Path], work: Path) -> Evaluated:
    """Evaluate.

    Args:
        sources: one file for each seed.
        work: a folder for tables.

    Raises:
        UserError: files are missing, or do not fit.
    """
    predictions: dict[tuple[str, int], Path] = {}
    trained: dict[tuple[str, int], Path] = {}
    seen = features(plan, dataset, plan.compared(name)[1:])
    files = Files(*tables(plan, dataset, work), seen, predictions, trained, {})
    flaws = []
    for seed, source in enumerate(sources):
        table, listed = work / f"{seed}.parquet", work / f"{seed}.csv"
        settings = json.dumps(plan.external_predictions(dataset, name))
        options = ("--queries", files.queries, "--source", source, "--predictions", table, "--flaws", listed)
        external_predictions.main(["--settings", settings, *map(str, options)])
        predictions[name, seed] = table
        with open(listed, encoding="utf-8", newline="") as file:
            flaws += [{"file": str(source), **row} for row in csv.DictReader(file)]
    for other in plan.compared(name)[1:]:
        of_other, models = made(plan, dataset, other)
        predictions |= {(other, seed): path for seed, path in of_other.items()}
        trained |= {(other, seed): path for seed, path in models.items()}
    seeds = {"seeds": list(range(len(sources)))}
    if plan.finds_segments(name):
        result = localisation.evaluate(
            parse(LocalisationSettings, json.dumps(plan.localisation(dataset, name) | seeds)), files, NOT_MEASURED
        )
        return Evaluated(result, list(terminal.of_segments(result)), flaws)
    settings_of = parse(EvaluateSettings, json.dumps(plan.evaluate(dataset, name) | seeds))
    result, _ = evaluate.evaluate(settings_of, files, NOT_MEASURED)
    return Evaluated(result, list(terminal.lines(result)), flaws)


def tables(plan: Plan, dataset: str, work: Path) -> tuple[Path, Path, Path]:
    """The tables of queries, moments and problems, made from the annotation files as the workflow makes them."""
    found = (work / "queries.parquet", work / "moments.parquet", work / "problems.csv")
    inventory = Inventory(plan)
    settings = ["--settings", json.dumps(plan.queries(dataset))]
    folder = inventory.videos_folder(plan.collection(dataset)) if inventory.undated_videos(dataset) else None
    videos = ["--videos", folder] if folder and Path(folder).is_dir() else []
    queries.main([*settings, "--queries", str(found[0]), *videos])
    options = zip(("--queries", "--moments", "--problems"), map(str, found), strict=True)
    moments.main([*settings, *(word for pair in options for word in pair)])
    return found


def features(plan: Plan, dataset: str, models: Sequence[str]) -> dict[str, list[Path]]:
    """The features that these models saw, whose durations count; none of a stream that is no longer there whole."""
    collection = plan.collection(dataset)
    found = {}
    for role in plan.roles(models):
        folder = Path("results/features") / collection / plan.stream(dataset, role)
        if shards := sorted(folder.glob("*.h5")):
            found[role] = shards
    return found


def comparable(plan: Plan, dataset: str, name: str) -> list[str]:
    """The models with predictions in results/ that could be compared with these, and are not."""
    alike = [model for model in plan.models if plan.finds_segments(model) == plan.finds_segments(name)]
    folder = Path("results") / dataset
    return [m for m in alike if m not in plan.compared(name) and any(folder.glob(f"{m}/seed-*/predictions.parquet"))]


def made(plan: Plan, dataset: str, model: str) -> tuple[dict[int, Path], dict[int, Path]]:
    """Seed -> predictions, and seed -> trained model, that the workflow has made of a model.

    Raises:
        UserError: there are none.
    """
    folder = Path("results") / dataset / model
    found = {int(path.parent.name[5:]): path for path in sorted(folder.glob("seed-*/predictions.parquet"))}
    models = {seed: path.with_name("model.safetensors") for seed, path in found.items()}
    external = {seed for seed, path in found.items() if inputs.read_external(path) is not None}
    usable = {seed: path for seed, path in found.items() if seed in external or models[seed].exists()}
    if not usable:
        raise UserError(
            f"{model} has no predictions on {dataset} in {folder}; run `snakemake --cores 1 "
            f"results/{model}_{dataset}.json` first, or leave it out of --compare-with."
        )
    return usable, {seed: path for seed, path in models.items() if seed in usable and seed not in external}
