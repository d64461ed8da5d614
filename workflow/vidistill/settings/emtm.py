"""Section `emtm`: networks, losses and distillation of EMTM."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vidistill.base.settings import Section
from vidistill.settings.map2d import Map2DSection
from vidistill.settings.train import ModelSettings, Normalise


class SpanSection(Section):
    """A network that predicts spans."""

    dim: int = Field(128, ge=4, description="Hidden width d.")
    heads: int = Field(8, ge=1, description="Attention heads; they divide dim.")
    characters: int = Field(100, ge=1, description="E_c, width of a character's vector (TACoS: 50).")
    dropout: float = Field(
        0.4, ge=0, lt=1, description="Dropout (ActivityNet Captions and TACoS: 0.2), also of an isomorphic teacher."
    )
    mask_padding: bool = Field(
        True,
        description="Padding is zeroed before each convolution and after each block, so that no prediction depends on "
        "it; false is the released code.",
    )


class SeqPANSection(SpanSection):
    """SeqPAN (Zhang et al., Findings of ACL 2021)."""

    characters: int = Field(50, ge=1, description="E_c, width of a character's vector (ActivityNet Captions: 100).")
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout.")


class LossSettings(Section):
    """Weights of the loss's terms."""

    location: float = Field(1.0, ge=0, description="Weight of the boundaries' cross-entropy.")
    matching: float = Field(1.0, ge=0, description="Weight of sequence matching.")
    isomorphic: float = Field(1.0, ge=0, description="Weight of both of these of the isomorphic teacher.")
    aggregation: float = Field(1.0, ge=0, description="Weight of the Knowledge Aggregation Unit's own loss.")
    distillation: float = Field(0.1, ge=0, description="Weight of distillation from the label teachers.")


class DistillationSettings(Section):
    """How the student learns from an isomorphic teacher and from label teachers."""

    isomorphic: bool = Field(
        True,
        description="Train an isomorphic teacher on the shared encoder. Without one, the Knowledge Aggregation Unit "
        "reads the student's fused features and no query.",
    )
    aggregation: Literal["kau", "mean"] | None = Field(
        None,
        description="How the label teachers' distributions become one: weighted by the Knowledge Aggregation Unit, or "
        "their mean; null for kau with supervision full and mean with supervision pseudo.",
    )
    aggregation_loss: Literal["mixture", "released"] = Field(
        "mixture",
        description="The Knowledge Aggregation Unit's loss: cross-entropy of the labels and the mixture, or, as in the "
        "released code, and the softmax of the mixture.",
    )
    aggregation_norm: Literal["fixed", "batch"] = Field(
        "fixed",
        description="Batch normalisation in the Knowledge Aggregation Unit: with the initial statistics, which nothing "
        "updates, as in the released code, or with the batch's.",
    )
    kd: Literal["kl", "released"] = Field(
        "kl",
        description="Distillation loss: KL divergence, or the released one, which L2-normalises both sides and takes "
        "their softmax twice.",
    )
    temperature: float = Field(1.0, gt=0, description="T of the distillation loss (ActivityNet Captions and TACoS: 3).")
    squared_temperature: bool = Field(False, description="Multiply the distillation loss by T^2.")
    detach: bool = Field(
        True, description="No gradient of the distillation loss reaches the aggregation; false is the released code."
    )
    corners: bool = Field(
        False,
        description="Bring teachers' distributions to the student's length corner to corner, ends like starts, as the "
        "released code does; false goes by the snippets' places in time.",
    )


class EMTMSection(Section):
    """The method EMTM: networks, losses and distillation; values for Charades-STA."""

    snippets: int = Field(
        64,
        ge=1,
        description="L of student and SeqPAN, in place of train.snippets: longer videos are averaged to it, shorter "
        "ones stay as they are (ActivityNet Captions: 100, TACoS: 256).",
    )
    words: int = Field(20, ge=1, description="Words of a sentence beyond this many are cut off (others: 30).")
    student: SpanSection = Field(SpanSection(), description="The student.")
    seqpan: SeqPANSection = Field(SeqPANSection(), description="SeqPAN.")
    map2d: Map2DSection = Field(Map2DSection(), description="The teacher with a 2D map, 2D-TAN.")
    loss: LossSettings = Field(LossSettings(), description="Weights of the loss's terms.")
    distillation: DistillationSettings = Field(
        DistillationSettings(),
        description="How the student learns from an isomorphic teacher and from label teachers; without effect in "
        "other networks.",
    )


class TrainSettings(EMTMSection, ModelSettings):
    """Stage train of EMTM; they travel with the model."""

    network: Literal["student", "seqpan", "map2d"]
    supervision: Literal["full", "pseudo"]
    labels: str | None = None  # the model whose pseudo labels are the hard labels

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, network in (("student", self.student), ("seqpan", self.seqpan)):
            if network.dim % network.heads:
                raise ValueError(
                    f"{network.heads} heads do not divide emtm.{name}.dim {network.dim}; use another number of heads"
                )
        if self.words > self.snippets:  # both have the encoder's positions
            raise ValueError(f"emtm.words {self.words} is above emtm.snippets {self.snippets}; lower it")
        return self

    @property
    def span(self) -> SpanSection:
        """The network that predicts spans: the student, or SeqPAN."""
        return self.student if self.network == "student" else self.seqpan

    @property
    def length(self) -> int:
        """Snippets that a video has at most."""
        return self.map2d.rows if self.network == "map2d" else self.snippets

    @property
    def scaling(self) -> Normalise:
        """How its features are scaled."""
        return self.map2d.normalise if self.network == "map2d" else self.normalise

    @property
    def cut_batches(self) -> bool:
        """Whether a batch is cut to its longest sentence and video, since no prediction depends on padding."""
        return self.network == "map2d" or self.span.mask_padding

    @property
    def aggregation(self) -> Literal["kau", "mean"]:
        """How the label teachers' distributions become one."""
        return self.distillation.aggregation or ("kau" if self.supervision == "full" else "mean")
