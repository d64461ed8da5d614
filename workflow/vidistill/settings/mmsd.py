"""Section `mmsd`: network, losses, pseudo labels and distillation of MMSD."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vidistill.base.settings import Distinct, Section
from vidistill.settings.localise import SegmentSettings
from vidistill.settings.train import ModelSettings


class NetworkSection(Section):
    """The network."""

    dim: int = Field(1024, ge=1, description="d, width of embedded snippets and of class centres.")
    dropout: float = Field(0.6, ge=0, lt=1, description="Dropout of each embedding layer's output.")
    scale: float = Field(20.0, gt=0, description="Factor of cosine similarities.")


class LossSettings(Section):
    """The losses."""

    mil_weight: float = Field(0.5, ge=0, description="Weight of the MIL branch's classification.")
    attention_weight: float = Field(0.1, ge=0, description="Weight of L_att, which sets snippets apart.")
    top_divisor: int = Field(8, ge=1, description="L_att compares the T // 8 highest and lowest of T snippets.")
    distillation_weight: float = Field(
        0.1, ge=0, description="Weight of L_mkd, multi-modality knowledge distillation; 0 is without."
    )
    temperature: float = Field(0.2, gt=0, description="T of L_mkd.")
    pseudo_label_weight: float = Field(2.0, ge=0, description="Weight of L_pdl, pseudo labels; 0 is without.")


class PseudoLabelSettings(Section):
    """Pseudo labels of the training videos' snippets, foreground or background, per stream; made anew each round."""

    every: int = Field(40, ge=1, description="Epochs of a round, after which pseudo labels are made.")
    first_update: int | None = Field(
        None,
        ge=1,
        description="The first round ends with the epoch of this update (THUMOS14: 800 is the end of epoch 40); null: "
        "after `every` epochs.",
    )
    foreground: Literal["absolute", "relative"] = Field(
        "absolute",
        description="absolute: a snippet is foreground if its attention is above the threshold; relative (not of the "
        "paper): if its attention, rescaled to 0..1 over the video, is, which keeps labels from collapsing.",
    )
    threshold: float = Field(0.55, ge=0, lt=1, description="Threshold of the attention.")
    memory: bool = Field(
        True, description="A snippet keeps its most confident label of all rounds; false: that of the last round."
    )
    voting: bool = Field(
        True, description="Self-voting: reliable streams label for less confident ones; false: each stream for itself."
    )
    reliable: float = Field(0.6, ge=0, le=1, description="Confidence from which on a stream's label counts.")
    margin: float = Field(0.3, ge=0, description="How much more confident a stream must be to vote for another.")
    keep_rounds: Literal["all", "last"] = Field(
        "all", description="Rounds that activation_maps.parquet holds: all, or the last."
    )


class DistillationSettings(Section):
    """How a student learns from its teachers' pseudo labels; without effect in models that name no teacher."""

    streams: Distinct[str] = Field(
        ("rgb", "flow", "fused"), description="The teachers' streams whose pseudo labels vote for the student's target."
    )


class MMSDSection(Section):
    """The method MMSD: network, losses and pseudo labels, the released values for THUMOS14."""

    snippets: Annotated[int, Field(ge=2)] | Literal["native"] = Field(
        "native",
        description="Snippets of a video, in place of train.snippets: native for the rows that its features have, or a "
        "number that they are resampled to (ActivityNet: 75).",
    )
    predict_every: int = Field(
        10,
        ge=1,
        description="Epochs between two whose weights are kept for predictions of test videos, beside the last; only "
        "the best epoch on the test split needs them. Each takes 25 MB at THUMOS14's size.",
    )
    network: NetworkSection = Field(NetworkSection(), description="The network.")
    loss: LossSettings = Field(LossSettings(), description="The losses.")
    pseudo_labels: PseudoLabelSettings = Field(
        PseudoLabelSettings(), description="Pseudo labels of snippets, memory and self-voting."
    )
    segments: SegmentSettings = Field(
        SegmentSettings(),
        description="How the segments of pseudo_labels.parquet are found; those of predictions are found as in "
        "section localise.",
    )
    distillation: DistillationSettings = Field(
        DistillationSettings(),
        description="How a student learns from its teachers' pseudo labels; without effect in models that name no "
        "teacher.",
    )


class NetworkSettings(NetworkSection):
    kind: Literal["single", "multimodal"]


class TrainSettings(MMSDSection, ModelSettings):
    """Stage train of MMSD; they travel with the model."""

    network: NetworkSettings

    @model_validator(mode="after")
    def _check(self) -> Self:
        kind, count = self.network.kind, len(self.streams)
        if not (count == 2 or (count == 1 and kind == "single")) or "fused" in self.streams:
            raise ValueError(
                f"a model of MMSD with network: {kind} cannot read the streams {', '.join(self.streams)}; give two, or "
                "with network: single one, none of them called 'fused'"
            )
        return self
