"""The card of a packed model: a README.md with front matter in YAML, as model hubs read it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from tabulate import tabulate

from vidistill.base.wording import percent, plural
from vidistill.commands.packed import MODEL, RESULT, About, recipe
from vidistill.evaluation import cost, doubts, kinds
from vidistill.features import options

METHODS = {"mmdist": "MMDist", "emtm": "EMTM", "mmsd": "MMSD"}
COMMANDS = {False: 'ground video.mp4 "WHAT TO FIND"', True: "locate video.mp4"}  # by whether it finds actions
# Licences that the Hugging Face hub knows by these names; any other is given to it as "other", with its name.
_KNOWN = """
    apache-2.0 mit bsd-2-clause bsd-3-clause cc0-1.0 cc-by-4.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-sa-4.0
    cc-by-nc-nd-4.0 gpl-2.0 gpl-3.0 lgpl-3.0 agpl-3.0 mpl-2.0 eupl-1.2 isc odc-by odbl openrail unlicense wtfpl zlib
"""
LICENCES = frozenset(_KNOWN.split())
HEADINGS = ("Use", "Data", "Results", "Features", "What it does not know", "Licence")


def write(about: About, licence: str) -> str:
    """The whole text.

    Args:
        licence: as the user names it.
    """
    head = yaml.safe_dump(front(about, licence), sort_keys=False, allow_unicode=True, width=120)
    parts = {
        "Use": _use(about),
        "Data": _data(about),
        "Results": _results(about),
        "Features": _features(about),
        "What it does not know": _unknown(about),
        "Licence": [
            f"{licence}.",
            "This is the licence of the model. Videos, sentences and weights of feature extractors have their own.",
        ],
    }
    body = "\n\n".join(f"## {heading}\n\n" + "\n\n".join(paragraphs) for heading, paragraphs in parts.items())
    return f"---\n{head}---\n\n# {about.name} of {about.result['dataset']}\n\n{_what(about)}\n\n{body}\n"


def front(about: About, licence: str) -> dict[str, Any]:
    """The front matter, with the numbers of the result as the hub's `model-index`."""
    known = licence.lower() in LICENCES
    found: dict[str, Any] = {"license": licence.lower()} if known else {"license": "other", "license_name": licence}
    actions = _is_of_actions(about)
    task = "temporal-action-localization" if actions else "video-moment-retrieval"
    found |= {"library_name": "vidistill", "tags": [task, "video", METHODS[_method(about)].lower()]}
    if metrics := numbers(about.result):
        result = about.result
        dataset = {"name": result["dataset"], "type": result["dataset"], "split": result["split"]}
        entry = {"task": {"type": task}, "dataset": dataset, "metrics": metrics}
        found["model-index"] = [{"name": about.name, "results": [entry]}]
    return found


def numbers(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each metric of a result, the mean over its seeds, with its interval; empty if nothing was scored."""
    return [
        {
            "type": name,
            "name": name,
            "value": found["mean"],
            "args": {
                "seeds": list(result["seeds"]),
                "interval": found["interval"],
                "confidence": result["settings"]["confidence"],
            },
        }
        for name, found in (result["metrics"] or {}).items()
    ]


def table(about: About) -> str:
    """The numbers as Markdown: mean over seeds and interval, those of the packed seed, and the best without video."""
    result, kind = about.result, kinds.of(about.result)
    count, seed = result[kind.counted], str(about.seed)
    free = result["comparisons"].get("video_free", {}).get("metrics", {})
    rows = []
    for name, found in (result["metrics"] or {}).items():
        low, high = (percent(value, count) for value in found["interval"])
        without = percent(free[name]["theirs"], count) if name in free else ""
        mean, own = percent(found["mean"], count), percent(found["per_seed"][seed], count)
        rows.append([name, mean, f"{low} to {high}", own, without])
    confidence = f"{result['settings']['confidence']:.0%} interval"
    header = ["metric", f"mean of {plural(len(result['seeds']), 'seed')}", confidence, f"this model (seed {seed})"]
    return tabulate(rows, [*header, "best without video"], "github", disable_numparse=True)


def _what(about: About) -> str:
    finds = "the segments in which actions happen" if _is_of_actions(about) else "the moments that a sentence describes"
    method, version = METHODS[_method(about)], about.result["models"][about.name]["versions"]["vidistill"]
    return f"A small model that finds, in a video, {finds}. Its method is {method}; vidistill {version} trained it."


def _use(about: About) -> list[str]:
    command = COMMANDS[_is_of_actions(about)]
    found = [f"```bash\nvidistill {command} --model THIS_FOLDER\n```"]
    made = recipe(about.metadata)
    parts = {**made["streams"], **({"words": made["words"]} if "words" in made else {})}
    rows = [
        [name, setting, file["name"], file["sha256"]]
        for name, part in parts.items()
        for setting, file in part["files"].items()
    ]
    elsewhere = [
        name for name, one in made["streams"].items() if one["provenance"].get("extractor") not in options.KINDS
    ]
    if elsewhere:
        found.append(
            f"It reads features that were made elsewhere ({', '.join(elsewhere)}) and cannot be extracted here: give "
            "them with `--features FILE --video-id ID`."
        )
    if rows:
        found.append(
            "It needs these files, which are not part of it. Give them with `--weights FILE...`; they are recognised "
            "by their content, whatever they are called."
        )
        found.append(tabulate(rows, ["of", "setting", "file", "SHA-256"], "github", disable_numparse=True))
    elif not elsewhere:
        found.append("It needs no other file.")
    found.append(f"SHA-256 of `{MODEL}`: `{about.sha256}`.")
    return found


def _data(about: About) -> list[str]:
    result, model = about.result, about.result["models"][about.name]
    splits = result["coverage"]["splits"]
    learned = model["settings"]["train_splits"]
    rows = [
        [split, "training" if split in learned else "evaluation", one["queries"]["used"], one["videos"]["used"]]
        for split, one in splits.items()
    ]
    moments = max(model["training_moments"].values())
    what = "labels" if _is_of_actions(about) else "sentences"
    seen = f"It read {plural(moments, 'annotated moment')} in training (supervision: {model['supervision']})."
    return [
        f"Data set `{result['dataset']}`, by its name in the configuration.",
        tabulate(rows, ["split", "for", what, "videos"], "github"),
        seen,
    ]


def _results(about: About) -> list[str]:
    result = about.result
    if not result["metrics"]:
        return [f"There are none: no {kinds.of(result).unscored.format(split=result['split'])}."]
    _, _, parameters, products, latency = cost.texts(cost.of(result, about.name))
    measured = f"{result['efficiency']['device']}, {plural(result['efficiency']['threads'], 'thread')}"
    return [
        f"Of the split {result['split']}, {plural(result[kinds.of(result).counted], kinds.of(result).one)}; percent.",
        table(about),
        f"{parameters} parameters; an answer takes {products} multiply-adds and {latency} ms ({measured}), without "
        "features.",
        f"`{RESULT}` has everything behind these numbers.",
    ]


def _features(about: About) -> list[str]:
    found = []
    for name, one in recipe(about.metadata)["streams"].items():
        made = one["provenance"]
        weights = {True: "trained weights", False: "random weights"}.get(made.get("pretrained"), "weights unknown")
        kind, seen = made.get("extractor", "unknown"), made.get("input", "existing features")
        found.append(f"- `{name}`: {kind} on {seen}, {weights}")
    return ["\n".join(found), "`features.json` has every setting, version and digest."]


def _unknown(about: About) -> list[str]:
    return ["\n".join(f"- {sentence}" for sentence in _limits(about))]


def _limits(about: About) -> Iterator[str]:
    result, streams = about.result, recipe(about.metadata)["streams"]
    if random := [name for name, one in streams.items() if one["provenance"].get("pretrained") is False]:
        yield f"Real videos: its features ({', '.join(random)}) are by networks with random weights, which fit a trial."
    yield f"Videos of other kinds than those of `{result['dataset']}`: nothing was measured on any."
    if _is_of_actions(about):
        yield "Actions other than its classes."
    else:
        yield "Whether a video shows the event at all: any sentence gets moments, and a score is no probability."
        yield from _words(about)
    snippets = json.loads(about.metadata["settings"]).get("snippets")
    if isinstance(snippets, int):
        yield f"Events shorter than about 1/{snippets} of a video, the part that one of its steps covers."
    yield "How much another training would differ: intervals cover the choice of test data, not of seeds."
    yield from doubts.sentences(result)


def _words(about: About) -> Iterator[str]:
    vocabulary = json.loads(about.metadata.get("vocabulary", "{}"))
    known = len(vocabulary.get("words", ()))
    encoder = vocabulary.get("provenance", {}).get("text_encoder")
    others = "are read as the nearest of these by its text encoder" if encoder else "are left out"
    yield f"Words other than the {known:,} of its training sentences: they {others}, and the answer says so."


def _method(about: About) -> str:
    return about.metadata.get("method", "mmdist")


def _is_of_actions(about: About) -> bool:
    return _method(about) == "mmsd"
