"""A CLIP model of open_clip, in section `clip` and in `vocabulary.text_encoder`."""

from pydantic import Field, field_validator

from vidistill.base.gpus import Device
from vidistill.base.settings import Section, Text


class OpenCLIPSection(Section):
    """Which model, and which weights."""

    model: Text = Field(
        "ViT-B-32",
        description="A model of open_clip by its name, such as ViT-B-32, ViT-B-16-SigLIP or MobileCLIP2-S0, or "
        "hf-hub:OWNER/REPOSITORY for one of the Hugging Face hub.",
    )
    pretrained: Text | None = Field(
        None,
        description="The tag that open_clip gives to weights of this model, such as openai or laion2b_s34b_b79k: it "
        "says how frames are prepared, and names the file on the hub that is fetched where weights is null.",
    )
    weights: Text | None = Field(
        None,
        description="File of weights that open_clip reads. With null they are those of pretrained or of the hub's "
        "repository, and without any they are random, which is enough to try the workflow and no more.",
    )
    config: Text | None = Field(
        None,
        description="An open_clip_config.json, for a model that open_clip has no name for; model is then not read.",
    )
    seed: int = Field(0, ge=0, description="Seed of random weights.")


class TextEncoderSection(OpenCLIPSection):
    """Stage encode_words: the text encoder of a CLIP model, which gives each word its vector."""

    template: Text = Field(
        "{}", description="The text that is encoded for a word, which takes the place of {}, such as a photo of {}."
    )
    batch: int = Field(64, ge=1, description="Words computed at once.")
    threads: int = Field(
        2, ge=1, description="CPU threads of PyTorch; a setting, so that results do not depend on the cores of a run."
    )

    @field_validator("template")
    @classmethod
    def _has_a_place(cls, template: str) -> str:
        if template.count("{}") != 1:
            raise ValueError(f"{template!r} has not one place for a word; write it as {{}}")
        return template


class TextEncoderSettings(TextEncoderSection):
    device: Device
