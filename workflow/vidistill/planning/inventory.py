"""What is on disk, for the rules: annotations, videos, their shards, existing features.

Everything is looked up only when a target needs it, so a missing folder of one data set affects no other.
Light, like everything the rules import.
"""

import json
import logging
import os
import zlib
from collections import defaultdict
from collections.abc import Callable
from functools import cache

from vidistill.base import fingerprints
from vidistill.base import settings as settings_module
from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data import rows
from vidistill.data.annotations import sources
from vidistill.data.annotations.annotation import VIDEO_SUFFIXES, Annotation, video_id
from vidistill.data.demo import scenes
from vidistill.features import feature_names
from vidistill.planning import needs
from vidistill.planning.needs import STREAM_FILES
from vidistill.planning.plan import Plan

log = logging.getLogger(__name__)
DEMO_VIDEOS = "results/demo/videos"
LONGEST_COMMAND = 100_000  # characters of its lists; Linux limits a whole command to 131,072
BYTES = {"float16": 2, "float32": 4}
LONG = 600  # seconds of a video of unknown duration, for estimates of memory
FPS = 25  # frames a second, for the same
DENSE = 8 / FPS  # seconds from one vector to the next where it is not known otherwise
OTHER_IDS = 5_000  # characters of ids that only show how a source of features names videos


def shard_of(video_id: str, shards: int) -> int:
    """The shard of a video: a function of its id alone, so that adding a video changes one shard."""
    return zlib.crc32(video_id.encode()) % shards


def _plain(path: str) -> str:
    if "{" in path and "}" in path:
        raise UserError(f"{path}: Snakemake reads {{...}} as a wildcard; rename the file.")
    return path


class Inventory:
    """Videos, shards and missing files of one plan."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self._annotations = cache(self._read_annotations)
        self._listed = cache(lambda folder: sorted(os.listdir(folder)))
        self._videos = cache(self._list_videos)
        self._unread = cache(self._find_unread)
        self._features = cache(self._match_features)
        self._shards = cache(self._sort_into_shards)
        self._width = cache(self._find_width)

    def demo_files(self) -> list[str]:
        """The demo's video files, which the workflow draws: a function of its settings."""
        settings = settings_module.parse(scenes.DemoSettings, json.dumps(self.plan.config["demo"]))
        return [f"{DEMO_VIDEOS}/{name}" for name in scenes.video_files(settings)]

    def videos_folder(self, collection: str) -> str | None:
        """The folder of a collection's videos; None if it has only features."""
        return DEMO_VIDEOS if self.plan.is_drawn(collection) else self.plan.collections[collection].get("videos")

    def feature_bytes(self, dataset: str, model: str, existing: Callable[..., int]) -> int:
        """Memory of the features of a model's streams if no video is missing.

        Args:
            existing: gives the width of features that a user has by source, format, key and ids. Finding it takes more
                than the standard library.
        """
        collection, snippets = self.plan.collection(dataset), self.plan.snippets(dataset, model)
        total = 0
        for stream in (self.plan.stream(dataset, role) for role in self.plan.roles([model])):
            rows = self._rows(dataset, stream) if snippets is None else snippets * len(self._video_ids(dataset))
            settings = self.plan.features(collection, stream)
            total += rows * BYTES[settings["dtype"]] * self._width(collection, stream, existing)
        return total

    def _rows(self, dataset: str, stream: str) -> int:
        """About how many vectors the videos of a data set have."""
        collection = self.plan.collection(dataset)
        if self.plan.is_drawn(collection):
            seconds = self.plan.config["demo"]["seconds"] * len(self._video_ids(dataset))
        else:
            durations = {a.video_id: rows.annotated_duration(a) or LONG for a in self._annotations(dataset)}
            seconds = sum(durations.values())
        settings = self.plan.features(collection, stream)
        if not self.plan.is_extracted(collection, stream):
            return round(seconds / (settings["seconds_per_row"] or DENSE))
        if settings["extractor"] == "clip":
            rate = self.plan.decode(collection, self.plan.extracted_from(collection, stream))["fps"] or FPS
            return round(seconds * rate / settings["stride"])
        one = settings.get("window") and settings.get("temporal_mean")
        return round(seconds / (settings["stride"] / FPS if one else DENSE))

    def is_made(self, dataset: str) -> bool:
        """Whether the workflow makes the annotations of a data set, so that nothing is known about them yet."""
        return self.plan.is_drawn(self.plan.collection(dataset))

    def annotation_files(self, dataset: str) -> list[str]:
        """All files of annotations and durations."""
        settings = self.plan.queries(dataset)
        return [*(file for files in settings["annotations"].values() for file in files), *settings["durations"]]

    def sentences(self, dataset: str) -> str:
        """A digest of the part of the annotations that training sees."""
        if self.is_made(dataset):
            return ""
        return f"sentences = {rows.digest(self._annotations(dataset), self.plan.queries(dataset)['beyond_duration'])}"

    def training_moments(self, dataset: str) -> str:
        """A digest of the moments that a training with `supervision: full` sees.

        Raises:
            UserError: there are none.
        """
        if self.is_made(dataset):
            return ""
        splits, beyond = self.plan.training_splits(dataset), self.plan.queries(dataset)["beyond_duration"]
        digest = rows.moments_digest(self._annotations(dataset), beyond, splits)
        if digest is None:
            raise UserError(
                f"datasets.{dataset} has no moment (start and end) in its training splits ({', '.join(splits)}), which "
                "models with supervision: full learn from; add moments, or ask for a model of another supervision."
            )
        return f"training moments = {digest}"

    def training_labels(self, dataset: str) -> str:
        """A digest of what models of actions see of the annotations."""
        if self.is_made(dataset):
            return ""
        found = rows.labels_digest(self._annotations(dataset), self.plan.training_splits(dataset))
        return f"training labels = {found}"

    def annotated_rows(self, dataset: str) -> list[str]:
        """Digests of the annotation files."""
        return [] if self.is_made(dataset) else fingerprints.whole(self.annotation_files(dataset))

    def undated_videos(self, dataset: str) -> list[str]:
        """The videos of a data set without annotated duration, whose files must be read for it."""
        collection = self.plan.collection(dataset)
        if self.plan.is_drawn(collection):
            return self.demo_files()
        ids = {a.video_id for a in self._annotations(dataset) if a.duration is None}
        videos = self._videos(collection)
        return [videos[name] for name in sorted(ids & videos.keys()) if os.path.exists(videos[name])]

    def unscored(self, dataset: str, split: str, *, segments: bool) -> str | None:
        """A message if no row of a split has a moment, so that results have no numbers; None otherwise.

        Args:
            segments: whether the models find segments of labels.
        """
        if self.plan.is_drawn(self.plan.collection(dataset)):  # its table is still to be written, and has moments
            return None
        if any(
            row.split == split and row.start is not None and row.end is not None for row in self._annotations(dataset)
        ):
            return None
        answer = "find segments (detections.json)" if segments else "answer every sentence (predictions.jsonl)"
        return (
            f"{dataset}: no row of the split {split} has start and end, so nothing can be scored. Models are trained "
            f"and {answer}; the result has no numbers."
        )

    def shard_ids(self, collection: str, shard: int, *, extracted: bool) -> list[str]:
        """The ids in one shard: existing videos if `extracted`, else all, since features may exist without a video.

        Raises:
            UserError: there are no ids, or too many for one command.
        """
        ids = self._shards(collection, extracted).get(shard, [])
        if not ids:
            raise UserError(f"shard {shard} of collection {collection!r} has no video; request another shard.")
        return self._checked(ids, collection)

    def shard_videos(self, collection: str, shard: int) -> list[str]:
        """The video files of one shard.

        Raises:
            UserError: as `shard_ids`.
        """
        return [file for file in self._shard_files(collection, shard) if self._is_there(file, collection)]

    def dangling_links(self, collection: str, shard: int) -> list[str]:
        """Dangling links among one shard's video files: not inputs of a job, but listed as bad videos."""
        return [file for file in self._shard_files(collection, shard) if not self._is_there(file, collection)]

    def shard_numbers(self, dataset: str, role: str) -> list[int]:
        """The shards that hold the features of a data set's videos, in the stream of this role.

        Raises:
            UserError: there are no such shards.
        """
        collection, stream = self.plan.collection(dataset), self.plan.stream(dataset, role)
        shards, ids = self._shards(collection, self.plan.is_extracted(collection, stream)), self._video_ids(dataset)
        numbers = [number for number, found in sorted(shards.items()) if not ids.isdisjoint(found)]
        if not numbers:
            unread = sorted(file for name, file in self._unread(collection).items() if name in ids)
            remedy = f"name the files by their ids, as in {min(ids, default='ID')}.mp4"
            if unread:
                remedy = f"convert the files of unsupported formats ({feature_names.some(unread)}), for example to .mp4"
            raise UserError(
                f"none of the {len(ids)} videos of data set {dataset!r} is in "
                f"{self.videos_folder(collection)}; {remedy}, or correct collections.{collection}.videos."
            )
        if self.plan.is_extracted(collection, stream):
            self._unread(collection)  # warns about them
        elif (files := self._features(collection, stream)) is not None and ids.isdisjoint(files):
            settings = self.plan.features(collection, stream)
            names = feature_names.of_form(self._listed(settings["source"]), settings["format"], settings["source"])
            raise feature_names.nothing(names, ids, settings["source"])
        return numbers

    def weights(self, collection: str, stream: str) -> list[str]:
        """The files that an extractor reads besides videos."""
        return [path for key, path in self.plan.features(collection, stream).items() if key in STREAM_FILES and path]

    def encoder_files(self, dataset: str) -> list[str]:
        """The files of a data set's text encoder."""
        return [path for key, path in self.plan.encode_words(dataset).items() if key in STREAM_FILES and path]

    def existing_features(self, collection: str, stream: str, shard: int) -> list[str]:
        """The user's files with the features of one shard's videos.

        Raises:
            UserError: as `shard_ids`.
        """
        settings = self.plan.features(collection, stream)
        source = settings["source"]
        if not os.path.isdir(source):
            return [source]
        files = self.feature_names(collection, stream, shard)
        if isinstance(files, dict):
            found = sorted({name for name in files.values() if name})
        else:
            found = feature_names.of_form(self._listed(source), settings["format"], source)
        return self._checked([_plain(os.path.join(source, name)) for name in found], collection)

    def feature_names(self, collection: str, stream: str, shard: int) -> list[str] | dict[str, str | None]:
        """The ids in one shard; for a folder with one file per video, id -> file.

        Raises:
            UserError: as `shard_ids`, or two files match a video.
        """
        ids, files = self.shard_ids(collection, shard, extracted=False), self._features(collection, stream)
        if files is None:
            return ids
        self._checked([*ids, *(files[name] for name in ids if name in files)], collection)
        return {name: files.get(name) for name in ids}

    def other_ids(self, collection: str, shard: int) -> list[str]:
        """Some ids of the collection's other shards."""
        found, length = [], 0
        for name in sorted(self._named(collection) - set(self.shard_ids(collection, shard, extracted=False))):
            length += len(name.encode()) + 4
            if length > OTHER_IDS:
                break
            found.append(name)
        return found

    def _find_width(self, collection: str, stream: str, existing: Callable[..., int]) -> int:
        """How many numbers a vector has."""
        settings = self.plan.features(collection, stream)
        if settings.get("extractor") == "c3d" and settings["pca"] is None:
            return 4096
        if not settings.get("dimension") and not self.plan.is_extracted(collection, stream):
            return existing(settings["source"], settings["format"], settings["key"], self._named(collection))
        return settings.get("dimension") or 1024

    def _shard_files(self, collection: str, shard: int) -> list[str]:
        videos = self._videos(collection)
        return self._checked([videos[name] for name in self.shard_ids(collection, shard, extracted=True)], collection)

    def _is_there(self, file: str, collection: str) -> bool:
        return self.plan.is_drawn(collection) or os.path.exists(file)

    def _read_annotations(self, dataset: str) -> list[Annotation]:
        return sources.read(settings_module.parse(sources.QueriesSettings, json.dumps(self.plan.queries(dataset))))

    def _video_ids(self, dataset: str) -> set[str]:
        if self.plan.is_drawn(self.plan.collection(dataset)):
            return {video_id(file) for file in self.demo_files()}
        return {annotation.video_id for annotation in self._annotations(dataset)}

    def _list_videos(self, collection: str) -> dict[str, str]:
        """Id -> file; the demo's files may not exist yet."""
        folder = self.videos_folder(collection)
        if self.plan.is_drawn(collection):
            return {video_id(file): file for file in self.demo_files()}
        if folder is None or not os.path.isdir(folder):
            return {}
        named = self._named(collection)
        found: dict[str, str] = {}
        for name in self._listed(folder):
            stem, suffix = os.path.splitext(name)
            if (key := nfc(stem)) in named and suffix.lower() in VIDEO_SUFFIXES:
                _plain(os.path.join(folder, name))
                if key in found:
                    raise UserError(f"{folder} has two files of the video {key}, {found[key]} and {name}; remove one.")
                found[key] = name
        return {key: os.path.join(folder, name) for key, name in found.items()}

    def _find_unread(self, collection: str) -> dict[str, str]:
        """Missing videos with a file of their name in an unsupported format: id -> file."""
        folder = self.videos_folder(collection)
        if self.plan.is_drawn(collection) or folder is None or not os.path.isdir(folder):
            return {}
        missing = self._named(collection) - self._videos(collection).keys()
        # An interrupted download is named ID.mp4.part.
        keys = ((name, (nfc(name), video_id(os.path.splitext(name)[0]))) for name in self._listed(folder))
        found = {key: name for name, both in keys for key in both if key in missing}
        if found:
            files = feature_names.some(found.values())
            log.warning(
                "%s: files of missing videos have unsupported formats (%s); convert them, for example to .mp4",
                folder,
                files,
            )
        return found

    def _match_features(self, collection: str, stream: str) -> dict[str, str] | None:
        """Id -> file in a folder with one file per video; None for other existing features."""
        settings = self.plan.features(collection, stream)
        source, form = settings["source"], settings["format"]
        if not os.path.isdir(source):
            return None
        names = feature_names.of_form(self._listed(source), form, source)
        return feature_names.one_each(names, form, self._named(collection), source)

    def _named(self, collection: str) -> set[str]:
        """Video ids named by the data sets of a collection, except data sets whose annotations are missing."""
        datasets = [name for name in self.plan.datasets if self.plan.collection(name) == collection]
        ready = [d for d in datasets if all(os.path.exists(need.path) for need in needs.annotation_files(self.plan, d))]
        return set().union(*(self._video_ids(dataset) for dataset in ready))

    def _sort_into_shards(self, collection: str, extracted: bool) -> dict[int, list[str]]:
        shards = defaultdict(list)
        for name in sorted(self._videos(collection) if extracted else self._named(collection)):
            shards[shard_of(name, self.plan.collections[collection]["shards"])].append(name)
        return dict(shards)

    def _checked(self, items: list[str], collection: str) -> list[str]:
        if sum(len(item.encode()) + 4 for item in items) > LONGEST_COMMAND:
            raise UserError(
                f"a shard of collection {collection!r} has {len(items)} videos, too many for one command; "
                f"raise collections.{collection}.shards."
            )
        return items
