"""The whole configuration as one model: what a user may write, checked and completed with defaults."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError

from vidistill.base.gpus import Device
from vidistill.base.settings import Distinct, Problem, Section, Several, Text, Unique, problems
from vidistill.base.stage import UserError
from vidistill.planning import errors
from vidistill.settings.decode import DecodeSettings
from vidistill.settings.demo import DemoSettings
from vidistill.settings.downloads import DownloadsSection
from vidistill.settings.efficiency import EfficiencySection
from vidistill.settings.emtm import EMTMSection
from vidistill.settings.evaluate import EvaluateSection
from vidistill.settings.export import ExportSection
from vidistill.settings.external import ExternalSettings
from vidistill.settings.extract import C3DSection, CLIPSection, I3DSection
from vidistill.settings.figures import FiguresSection
from vidistill.settings.flow import FlowSection
from vidistill.settings.localisation import LocalisationSection
from vidistill.settings.localise import LocaliseSection
from vidistill.settings.mmdist import MMDistSection
from vidistill.settings.mmsd import MMSDSection
from vidistill.settings.queries import QueriesSection, Task
from vidistill.settings.retrieve import RetrieveSection
from vidistill.settings.train import TrainSection
from vidistill.settings.vocabulary import VocabularySettings

Settings = dict[str, Any]
Seed = Annotated[int, Field(ge=0)]
Range = Annotated[str, Field(pattern=r"^\d{1,6}\.\.\d{1,6}$")]
Seeds = Annotated[
    Distinct[Seed],
    BeforeValidator(lambda given: spread(given), json_schema_input_type=Several[Seed | Range]),
]
EXTRACTORS = ("i3d", "c3d", "clip")  # the other extractor reads existing features
# Parts whose settings only differ from those of the sections: what their authors left out gets no default there.
PARTIAL = {"models", "recipes", "collections", "datasets"}


def spread(given: object) -> object:
    """Seeds with each range, as the text 0..9, in place of its numbers; anything else as it is, for the checks."""
    if not isinstance(given, list | tuple):
        return given
    found: list[object] = []
    for item in given:
        ends = re.fullmatch(r"(\d{1,6})\.\.(\d{1,6})", item) if isinstance(item, str) else None
        found += range(int(ends[1]), int(ends[2]) + 1) if ends else [item]
    return tuple(found)  # strict: a list is one only where JSON is read


def absent(description: str) -> Any:
    """A key that has no default, and that is only read where it is given."""
    return Field(default_factory=lambda: None, description=description)


class Elsewhere(Section):
    """Tables of a teacher that is no model of this configuration; {seed} in a path stands for the student's seed."""

    name: Text = Field(description="What the teacher is called.")
    pseudo_labels: Text = absent("Its table of pseudo labels.")
    activation_maps: Text = absent("Its table of semantic activation maps.")


class OfSeeds(Section):
    """One model of this configuration as several teachers."""

    model: str = Field(description="The model.")
    seeds: Seeds = Field(description="Its seeds, each a teacher of the students of all seeds.")


def _form(teacher: object) -> str:
    if isinstance(teacher, str):
        return "name"
    return "seeds" if isinstance(teacher, OfSeeds) or (isinstance(teacher, dict) and "model" in teacher) else "tables"


Teacher = Annotated[
    Annotated[str, Tag("name")] | Annotated[OfSeeds, Tag("seeds")] | Annotated[Elsewhere, Tag("tables")],
    Discriminator(_form),
]


class Model(Section):
    parent: str = absent("The model whose keys this one has, but for those that it gives itself.")
    method: Literal["mmdist", "emtm", "mmsd"] = Field("mmdist", description="The method that trains the model.")
    network: Literal["single", "multimodal", "student", "seqpan", "map2d"] = absent(
        "Of MMDist, single for one network over the features of its streams side by side (baseline and student), "
        "multimodal for the teacher, with a semantic activation map for each stream; of EMTM, student for the fast "
        "network, seqpan and map2d for two of its teachers; of MMSD, multimodal for a head for each of two streams and "
        "for both fused, single for one head, for its stream or for two streams fused."
    )
    predictions: Text = absent(
        "A file of predictions that were made elsewhere, in place of a model to train: moments of sentences as JSON "
        "lines of QVHighlights' evaluators, or segments as JSON of ActivityNet's toolkit. {dataset} in the path stands "
        "for the data set, {seed} for the seed; a path without {seed} is one seed. Such a model has no method, and of "
        "the other keys supervision, task and compare_with alone."
    )
    task: Task = absent("What predictions are of: grounding (moments of sentences, the default) or localization.")
    supervision: Literal["weak", "full", "pseudo", "none"] = absent(
        "weak, which models of MMDist and MMSD are: training reads videos and sentences, or labels, alone. Of EMTM, "
        "full: training reads the moments of the training splits; or pseudo: the pseudo labels of the model that "
        "labels names, and no moment. Of predictions that were made elsewhere it is a statement for the tables, where "
        "none stands for a model that was not trained on the data set."
    )
    labels: str = absent("The model whose pseudo labels, of the same seed, train a pseudo model; by default teacher.")
    streams: Distinct[str] = absent(
        "The streams of features that the model reads, by the names that data sets give them."
    )
    teachers: tuple[Teacher, ...] = absent(
        "What a student learns from: models of this configuration, or tables from elsewhere, given by a name and two "
        "paths in which {seed} stands for the student's seed (a table that no loss of the student reads may be "
        "absent). The teacher of a seed teaches the student of that seed, unless seeds are named, as in {model: "
        "teacher, seeds: [0, 1, 2]}: each of them is then a teacher of every student. Students of MMDist have several "
        "with mmdist.distillation.aggregation."
    )
    compare_with: tuple[str, ...] = absent(
        "Models that the result compares this one with, query by query; they are trained too."
    )
    train: TrainSection = absent("Settings of train that differ for this model.")
    mmdist: MMDistSection = absent("Settings of mmdist that differ for this model.")
    emtm: EMTMSection = absent("Settings of emtm that differ for this model.")
    mmsd: MMSDSection = absent("Settings of mmsd that differ for this model.")
    export: ExportSection = absent("Settings of export that differ for this model.")
    localise: LocaliseSection = absent("Settings of localise that differ for this model.")


class Stream(Section):
    """A stream of features; its other keys are those of its extractor's section."""

    recipe: Text = absent("One of the recipes, whose keys the stream has but for those that it gives itself.")
    about: Text = absent("Where a recipe is from, and what of it is uncertain.")
    extractor: Literal["i3d", "c3d", "clip", "external"] = absent(
        "What makes the features; external reads features that exist."
    )
    input: Literal["frames", "flow"] = Field("frames", description="What an extractor is given.")
    decode: DecodeSettings = absent(
        "Settings of decode that differ from the collection's; the stream's frames are then decoded apart."
    )
    flow: FlowSection = absent("Settings of flow that differ from the collection's; its flow is then computed apart.")
    get_from: Text = absent("Where to get missing files, for the message that says so.")


class I3DStream(Stream, I3DSection):
    extractor: Literal["i3d"] = absent("I3D.")


class C3DStream(Stream, C3DSection):
    extractor: Literal["c3d"] = absent("C3D.")


class CLIPStream(Stream, CLIPSection):
    extractor: Literal["clip"] = absent("An image encoder of open_clip.")


class ExternalStream(Stream, ExternalSettings):
    extractor: Literal["external"] = absent("Features that exist.")


OneStream = Annotated[I3DStream | C3DStream | CLIPStream | ExternalStream, Field(discriminator="extractor")]


class Collection(Section):
    videos: Text = absent(
        "The folder of the video files, each named by its video's id; none for a collection of features alone. Missing "
        "videos are no error, the result tells how many there are."
    )
    demo: bool = Field(False, description="Whether the workflow draws the videos itself, see section demo.")
    get_from: Text = absent("Where to get missing files, for the message that says so.")
    shards: int = Field(
        ge=1,
        le=1000,
        description="Parts that the videos are processed in, one job each; about one for 32 videos. Another number "
        "moves every video, so that everything is computed again.",
    )
    decode: DecodeSettings = absent("Settings of decode that differ here.")
    flow: FlowSection = absent("Settings of flow that differ here.")
    streams: dict[str, OneStream] = Field(min_length=1, description="The features to make, by name.")


class DataSet(QueriesSection):
    collection: str = Field(description="The collection whose videos the sentences or labels are about.")
    get_from: Text = absent("Where to get missing files, for the message that says so.")
    seeds: Seeds = absent("Seeds for this data set instead of the general ones.")
    streams: dict[str, str] = absent(
        "Which stream of the collection stands for a stream that models read; by default the one of the same name."
    )
    vocabulary: VocabularySettings = absent("Settings of vocabulary that differ here.")
    train: TrainSection = absent("Settings of train that differ here.")
    mmdist: MMDistSection = absent("Settings of mmdist that differ here.")
    emtm: EMTMSection = absent("Settings of emtm that differ here.")
    mmsd: MMSDSection = absent("Settings of mmsd that differ here.")
    localise: LocaliseSection = absent("Settings of localise that differ here.")
    evaluate: EvaluateSection = absent("Settings of evaluate that differ here.")
    localisation: LocalisationSection = absent("Settings of localisation that differ here.")


class Config(Section):
    """Configuration of the vidistill workflow."""

    seeds: Seeds = Field(
        (0, 1, 2),
        description="Seeds to train with; every number is a mean over them. A data set may have its own. 0..9 stands "
        "for all seeds from 0 to 9. Seeds that are added are trained, and those that are there are not trained again.",
    )
    device: Device = Field(
        "auto",
        description="Where networks and optical flow are computed; auto takes the first GPU that is free, or the CPU "
        "where there is none. With cpu no job asks the scheduler for a GPU.",
    )
    keep_frames: bool = Field(
        False,
        description="Keep the decoded frames, which are otherwise deleted once features and flow are made of them.",
    )
    keep_flow: bool = Field(
        False, description="Keep the optical flow, which is otherwise deleted once features are made of it."
    )
    flow_in_memory: bool = Field(
        False,
        description="Compute optical flow within the job that makes features of it, without a file; on a GPU writing "
        "and reading it takes longer than computing it. Each stream of flow is then computed on its own.",
    )
    max_bad_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="The largest share of a data set's videos that may be bad; with more, nothing is trained and all "
        "of them are listed.",
    )
    models: dict[str, Model] = Field(
        min_length=1,
        description="Models by name, each with its differences to its parent or to the sections below. Settings of a "
        "stage are looked up in its section, then in the model and before it in its parents, then in the data set; "
        "the last that has one counts.",
    )
    tables: dict[str, Unique[str]] = Field(
        {},
        description="What results/tables_{dataset}.csv and .md hold, by the tables' names: models, all of which are "
        "trained; an empty list leaves a table out. A data set of labels has the tables of models of MMSD, the others "
        "those of other models. Published numbers stand beside them where there are any.",
    )
    recipes: dict[str, OneStream] = Field(
        {},
        description="How features of the field were made, by name, for streams that name one as recipe. The keys are "
        "a stream's; about says where the recipe is from and what of it is uncertain.",
    )
    collections: dict[str, Collection] = Field(
        min_length=1,
        description="Videos and the features made of them, by name; several data sets may share a collection.",
    )
    datasets: dict[str, DataSet] = Field(
        min_length=1, description="Sentences about the videos of a collection, or labels of them, by name."
    )
    downloads: DownloadsSection = DownloadsSection()
    demo: DemoSettings = DemoSettings()
    decode: DecodeSettings = DecodeSettings()
    flow: FlowSection = FlowSection()
    i3d: I3DSection = I3DSection()
    c3d: C3DSection = C3DSection()
    clip: CLIPSection = CLIPSection()
    external: ExternalSettings = ExternalSettings()
    vocabulary: VocabularySettings = VocabularySettings()
    train: TrainSection = TrainSection()
    mmdist: MMDistSection = MMDistSection()
    emtm: EMTMSection = EMTMSection()
    mmsd: MMSDSection = MMSDSection()
    export: ExportSection = ExportSection()
    localise: LocaliseSection = LocaliseSection()
    evaluate: EvaluateSection = EvaluateSection()
    localisation: LocalisationSection = LocalisationSection()
    retrieve: RetrieveSection = RetrieveSection()
    efficiency: EfficiencySection = EfficiencySection()
    figures: FiguresSection = FiguresSection()


def complete(given: Mapping[str, Any]) -> Settings:
    """A configuration with the defaults of its sections and data sets, and with the recipes' keys in the streams.

    Raises:
        UserError: a line for each thing that is wrong.
    """
    errors.check_plain(given)
    config = json.loads(json.dumps(given))
    wrong = list(_name_extractors(config))
    try:
        checked = Config.model_validate_json(json.dumps(config))
    except ValidationError as error:
        said = {problem.path for problem in wrong}
        wrong += [problem for problem in problems(error, config) if problem.path not in said]
    if wrong:
        schema = Config.model_json_schema()
        raise UserError("\n".join(errors.explain(problem, schema) for problem in wrong))
    whole = checked.model_dump(mode="json", exclude=PARTIAL)
    whole |= checked.model_dump(mode="json", include=PARTIAL, exclude_unset=True)
    for name, dataset in checked.datasets.items():
        # Keys that a format does not read have no default, so that one which is given can be told.
        formats = (dataset.format, *dataset.formats.values())
        unread = set() if "activitynet13" in formats else {"subsets", "labels"}
        whole["datasets"][name] |= dataset.model_dump(mode="json", include=QueriesSection.model_fields.keys() - unread)
    for _, streams in _streams(whole):
        for stream, about in streams.items():
            streams[stream] = merge(whole["recipes"][about["recipe"]], about) if "recipe" in about else about
    return {"recipes": {}, **whole}


def merge(*layers: Mapping[str, Any]) -> Settings:
    """Merge layers, later ones over earlier ones, recursively; lists are replaced whole."""
    merged: Settings = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = merge(merged[key], value) if both else value
    return merged


def _streams(config: Settings) -> Iterator[tuple[str, Settings]]:
    """The streams of each collection, as far as the configuration has the form for it."""
    collections = config.get("collections")
    for name, collection in collections.items() if isinstance(collections, dict) else ():
        if isinstance(collection, dict) and isinstance(collection.get("streams"), dict):
            yield name, collection["streams"]


def _name_extractors(config: Settings) -> Iterator[Problem]:
    """Give each stream its recipe's extractor, which tells its keys; yields what is wrong with the names of recipes."""
    recipes = config.get("recipes", {})
    for collection, streams in _streams(config):
        for stream, about in streams.items():
            named = about.get("recipe") if isinstance(about, dict) else None
            if not isinstance(named, str) or not isinstance(recipes, dict):
                continue
            if named not in recipes:
                path = ("collections", collection, "streams", stream)
                yield Problem(path, f"unknown recipe {named!r}", f"recipes are {', '.join(recipes)}")
            elif isinstance(recipes[named], dict) and "extractor" in recipes[named]:
                about.setdefault("extractor", recipes[named]["extractor"])
