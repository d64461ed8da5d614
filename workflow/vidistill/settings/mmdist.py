"""Section `mmdist`: network, losses and distillation of MMDist."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vidistill.base.settings import Distinct, Section
from vidistill.settings.train import ModelSettings, Precision


class NetworkSection(Section):
    """The network (dual transformer, proposals)."""

    dim: int = Field(256, ge=4, description="Hidden width d.")
    heads: int = Field(4, ge=1, description="Attention heads; they divide dim.")
    layers: int = Field(3, ge=1, description="Layers of each of the two stacks.")
    feed_forward: int = Field(512, ge=1, description="Width of the feed-forward layers.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout on raw inputs and on each sub-layer's output.")
    proposals: int = Field(8, ge=1, description="K, proposals per query.")
    positions: int = Field(
        50, ge=2, description="Snippets that reconstruction sees; loss.diversity_lambda belongs to this number."
    )
    width_divisor: float = Field(
        9.0, gt=0, description="A proposal of width w is a Gaussian of standard deviation w / width_divisor."
    )
    causal_frames: bool = Field(
        True, description="Whether a snippet attends only to itself and earlier ones, as in CPL."
    )


class LossSettings(Section):
    """The losses, named after the paper's terms."""

    global_learning: bool = Field(
        True, description="Global contrastive learning; off = the paper's 'without global' (Table 3)."
    )
    global_terms: Literal["cpl", "paper"] = Field(
        "cpl", description="cpl: Eq. 3 with CPL's weights and diversity; paper: Eq. 3 alone."
    )
    reconstruction: Literal["mean", "sum"] = Field(
        "mean", description="Mean or sum of the errors of the chosen proposal and the whole video."
    )
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Of the reconstruction's cross-entropy.")
    ranking_weight: float = Field(1.0, ge=0, description="a1, weight of the ranking hinges (ActivityNet Captions: 2).")
    diversity_weight: float = Field(
        5.0, ge=0, description="a2, weight of the diversity of proposals (ActivityNet Captions: 0.1)."
    )
    diversity_lambda: float = Field(0.146, ge=0, description="lambda of the diversity (ActivityNet Captions: 0.13).")
    margin_full: float = Field(0.1, ge=0, description="Margin of the chosen proposal over the whole video.")
    margin_negative: float = Field(0.15, ge=0, description="Margin of the chosen proposal over its negatives.")
    negative_gamma: float = Field(
        0.5, ge=0, description="gamma_n, how fast negatives become hard (ActivityNet Captions: 0, at once)."
    )
    local_learning: bool = Field(
        True,
        description="Local branch and local contrastive learning; off = CPL, the paper's 'without local' (Table 3).",
    )
    local_weight: float = Field(4.5, ge=0, description="alpha of Eq. 8, weight of the local losses.")
    temperature: float = Field(0.1, gt=0, description="tau of Eq. 7.")
    top_share: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Share of snippets whose mean is the video's similarity to a sentence (Eq. 5).",
    )
    symmetric: bool = Field(False, description="InfoNCE over the videos of the batch too.")
    mutual_weight: float = Field(
        1.0, ge=0, description="mu of Eq. 14, weight of cross-modal mutual learning; 0 = 'without mutual' (Table 5)."
    )
    agreement: Literal["absolute", "square"] = Field(
        "absolute", description="phi of Eq. 12 and 13, mean absolute or mean square difference of maps."
    )


class DistillationSettings(Section):
    """How a student learns from its teacher (Eq. 10-12); without effect in models that name no teacher."""

    weight: float = Field(0.9, ge=0, description="beta of Eq. 12, weight of distillation.")
    global_level: bool = Field(True, description="Global-level distillation, from pseudo labels (Eq. 10).")
    local_level: bool = Field(True, description="Local-level distillation, from semantic activation maps (Eq. 11).")
    proposal: Literal["overlap", "index", "inject"] = Field(
        "overlap",
        description="Which of the student's proposals stands for the pseudo label: the one that overlaps it most, the "
        "one of the same index, or the teacher's Gaussian itself.",
    )
    aggregation: Literal["single", "mean", "self_voting"] = Field(
        "single",
        description="How the maps of several sources become one, a source being one stream of one teacher: single for "
        "one source, as in the paper; mean; or self_voting, by which at each snippet the most confident sources "
        "decide, as MMSD's streams do. Of several teachers' pseudo labels the student learns the one that stands out "
        "most from the rest of that map.",
    )
    streams: Distinct[str] = Field(
        ("fused",), description="The streams of each teacher whose semantic activation maps are sources."
    )
    reliable: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Confidence from which on a source counts at a snippet. Where a table states none, it is how near "
        "the map is to its lowest or highest value.",
    )
    margin: float = Field(0.3, ge=0, description="How much more confident a source must be to vote for another.")
    unreliable: Literal["mask", "mean"] = Field(
        "mask",
        description="Snippets at which no source is reliable: mask, nothing is learned there; mean, the mean of all.",
    )


class MMDistSection(Section):
    """The method MMDist: network, losses and distillation, the paper's values for Charades-STA."""

    score_weight: float = Field(
        3.0, ge=0, description="gamma of Eq. 9, the weight of the semantic activation map in a proposal's score."
    )
    masks: int = Field(
        1,
        ge=1,
        description="Draws of masked words whose reconstruction errors are averaged for a score; each costs a pass. "
        "1 as in the paper.",
    )
    selection_precision: Precision = Field(
        "fp32",
        description="Arithmetic of the pass that selects the best proposal, which needs no gradients; as precision.",
    )
    compile: bool = Field(
        False,
        description="Compile the transformer stacks with torch.compile; meant for GPUs, slower on a CPU.",
    )
    network: NetworkSection = Field(NetworkSection(), description="The network (dual transformer, proposals).")
    loss: LossSettings = Field(LossSettings(), description="The losses, named after the paper's terms.")
    distillation: DistillationSettings = Field(
        DistillationSettings(),
        description="How a student learns from its teacher; without effect in models that name no teacher.",
    )


class NetworkSettings(NetworkSection):
    kind: Literal["single", "multimodal"]


class TrainSettings(ModelSettings, MMDistSection):
    """Stage train of MMDist; they travel with the model."""

    network: NetworkSettings

    @model_validator(mode="after")
    def _fits(self) -> Self:
        teachers, streams = len(self.teachers), len(self.distillation.streams)
        if self.distillation.aggregation == "single" and teachers and (teachers > 1 or streams > 1):
            raise ValueError(
                f"mmdist.distillation.aggregation single takes one stream of one teacher, but there are {teachers} "
                f"teachers and {streams} streams; set it to mean or self_voting"
            )
        return self
