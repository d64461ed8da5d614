"""Section `emtm`: networks, losses and distillation of EMTM."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vidistill.base.gpus import Device
from vidistill.base.settings import Section
from vidistill.settings.train import TrainSection, Unify


class SpanSection(Section):
    """A network that predicts spans: the student, or SeqPAN."""

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
    seqpan: SpanSection = Field(
        SpanSection(characters=50, dropout=0.2), description="SeqPAN (ActivityNet Captions: characters 100)."
    )
    loss: LossSettings = Field(LossSettings(), description="Weights of the loss's terms.")
    distillation: DistillationSettings = Field(
        DistillationSettings(),
        description="How the student learns from an isomorphic teacher and from label teachers; without effect in "
        "other networks.",
    )
    unify: Unify = Field(
        "distribution",
        description="The form of exported starts and ends: distributions over snippets, or, as in the released code, "
        "sigmoids of span logits and L2-normalised values of other networks.",
    )


class TrainSettings(EMTMSection, TrainSection):
    """Stage train of EMTM; they travel with the model."""

    dataset: str
    model: str
    seed: int
    streams: tuple[str, ...]
    teachers: tuple[str, ...]
    device: Device
    network: Literal["student", "seqpan", "map2d"]
    supervision: Literal["full", "pseudo"]
    labels: str | None = None  # the model whose pseudo labels are the hard labels

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> Self:
        for name, network in (("student", self.student), ("seqpan", self.seqpan)):
            if network.dim % network.heads:
                raise ValueError(
                    f"{network.heads} heads do not divide emtm.{name}.dim {network.dim}; use another number of heads"
                )
        return self

    @property
    def aggregation(self) -> Literal["kau", "mean"]:
        """How the label teachers' distributions become one."""
        return self.distillation.aggregation or ("kau" if self.supervision == "full" else "mean")
