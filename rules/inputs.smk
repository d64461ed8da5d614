"""Input functions of the rules that make data and features, file by file: settings, inputs, command-line arguments."""

# For data.smk.


def demo_settings(wildcards):
    return config["demo"]


def queries_settings(wildcards):
    return plan.queries(wildcards.dataset)


def vocabulary_settings(wildcards):
    return plan.vocabulary(wildcards.dataset)


@told
def annotations(wildcards):
    """The annotation files. Params hold digests of the content that matters, whatever the dates."""
    require(wildcards.dataset)
    files = inventory.annotation_files(wildcards.dataset)
    return files if inventory.is_made(wildcards.dataset) else ancient(files)


@told
def sentences(wildcards):
    return inventory.sentences(wildcards.dataset)


@told
def annotated_rows(wildcards):
    return inventory.annotated_rows(wildcards.dataset)


def training_rows_settings(wildcards):
    return plan.training_rows(wildcards.dataset)


@told
def training_rows(wildcards):
    return inventory.training_moments(wildcards.dataset)


@told
def training_labels(wildcards):
    return inventory.training_labels(wildcards.dataset)


@told
def undated_videos(wildcards):
    """The videos without annotated duration."""
    return given(inventory.undated_videos(wildcards.dataset))


def videos_folder(wildcards, input):
    """The folder, since its files may be more than a command line can hold."""
    return inventory.videos_folder(plan.datasets[wildcards.dataset]["collection"]) if input.videos else []


def words_settings(wildcards):
    return plan.words(wildcards.dataset)


def encode_words_settings(wildcards):
    return plan.encode_words(wildcards.dataset)


def encoder_files(wildcards):
    return given(inventory.encoder_files(wildcards.dataset))


@told
def word_vectors(wildcards):
    """GloVe's file, or the words that a text encoder has encoded; empty where vectors are learned."""
    require(wildcards.dataset)
    settings = plan.vocabulary(wildcards.dataset)
    if settings["text_encoder"]:
        return [f"results/{wildcards.dataset}/encoded_words.safetensors"]
    return given([path for path in [settings["word_vectors"]] if path])


def encoded_words(wildcards, input):
    return ["--encoded", *input.vectors] if plan.vocabulary(wildcards.dataset)["text_encoder"] else []


# For video.smk.


def decode_settings(wildcards):
    return plan.decode(wildcards.collection, wildcards.frames)


def flow_settings(wildcards):
    return plan.flow(wildcards.collection, wildcards.flow)


@told
def shard_videos(wildcards):
    return given(inventory.shard_videos(wildcards.collection, int(wildcards.shard)))


@told
def dangling_links(wildcards):
    return inventory.dangling_links(wildcards.collection, int(wildcards.shard))


# For features.smk.


STREAMS = [(collection, stream) for collection, about in plan.collections.items() for stream in about["streams"]]


def made_by(rule):
    """A constraint for {stream}, here COLLECTION/STREAM: only both together determine the rule."""
    return one_of(f"{c}/{s}" for c, s in STREAMS if plan.made_by(c, s) == rule)


def stream_of(wildcards):
    return wildcards.stream.split("/")


def stream_settings(wildcards):
    return plan.features(*stream_of(wildcards))


def flow_features_settings(wildcards):
    return plan.flow_features(*stream_of(wildcards))


def extractor_input(wildcards):
    collection, stream = stream_of(wildcards)
    return f"results/videos/{collection}/{plan.extracted_from(collection, stream)}/{wildcards.shard}.h5"


def frames_of_flow(wildcards):
    collection, stream = stream_of(wildcards)
    folder = plan.frames_of(collection, plan.extracted_from(collection, stream))
    return f"results/videos/{collection}/{folder}/{wildcards.shard}.h5"


def weights(wildcards):
    return given(inventory.weights(*stream_of(wildcards)))


@told
def existing_features(wildcards):
    return given(inventory.existing_features(*stream_of(wildcards), int(wildcards.shard)))


@told
def shard_ids(wildcards):
    return json.dumps(inventory.feature_names(*stream_of(wildcards), int(wildcards.shard)))


def other_ids(wildcards, input):
    """Takes `input`, so Snakemake does not record it: a new video changes one shard only."""
    return json.dumps(inventory.other_ids(stream_of(wildcards)[0], int(wildcards.shard)))
