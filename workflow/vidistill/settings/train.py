"""Section `train`: what every method's training reads."""

from typing import Literal

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Section, Several

Normalise = Literal["none", "l2", "rows"]
Precision = Literal["fp32", "bf16"]
Unify = Literal["distribution", "released"]


class OptimisationSettings(Section):
    """Adam: its learning rate over time, weight decay, clipping, precision."""

    epochs: int = Field(15, ge=1, description="Epochs; results are those of the last one.")
    batch_size: int = Field(32, ge=2, description="Queries (MMSD: videos) per update.")
    learning_rate: float = Field(0.0004, gt=0, description="Peak rate (teacher 3.5e-4, student 5e-4).")
    schedule: Literal["inverse_sqrt", "linear", "step", "constant"] = Field(
        "inverse_sqrt",
        description="The rate over time: inverse_sqrt rises over warmup_updates and then falls with the square root; "
        "linear falls from epoch to epoch, to 0 after the last; step falls once, at step_epoch; constant is the peak "
        "rate.",
    )
    warmup_updates: int = Field(
        400, ge=1, description="Updates of linear warm-up of inverse_sqrt. Shorter where training is shorter."
    )
    step_epoch: int = Field(71, ge=1, description="First epoch of the lower rate of step.")
    step_factor: float = Field(0.2, gt=0, le=1, description="The lower rate of step as a share of the peak rate.")
    slow_epochs: int = Field(0, ge=0, description="First epochs, which have slow_rate in place of the schedule's.")
    slow_rate: float = Field(0.000001, gt=0, description="Learning rate of the slow epochs.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay; 0 is none.")
    decay: Literal["decoupled", "coupled"] = Field(
        "decoupled",
        description="decoupled (AdamW), of all but LayerNorm and biases, or coupled with the gradient (Adam), of all "
        "parameters.",
    )
    second_beta: float = Field(
        0.999, gt=0, lt=1, description="Decay of Adam's second moment (MMSD: 0.99); that of the first is 0.9."
    )
    epsilon: float = Field(1e-8, gt=0, description="Adam's epsilon.")
    bias_correction: bool = Field(
        True, description="Correct Adam's moments for their start at 0; EMTM's released code does not."
    )
    gradient_norm: float | None = Field(10.0, gt=0, description="Gradients are clipped at this norm; null: not at all.")
    precision: Precision = Field(
        "fp32",
        description="Arithmetic of the training pass. Meant for GPUs: on a CPU bf16 can take longer than fp32 "
        "(docs/performance.md).",
    )


class TrainSection(Section):
    """Stage train: what the training of every model reads, whatever its method; the paper's values for Charades-STA."""

    threads: int = Field(
        2,
        ge=1,
        description="Threads of PyTorch on the CPU; a setting, so that results do not depend on the cores that a run "
        "is given.",
    )
    train_splits: Several[str] = Field(("train",), description="Splits to train on.")
    test_splits: tuple[str, ...] = Field(
        ("test",),
        description="Splits whose queries are predicted after each epoch, without their moments; those of other "
        "splits that are not trained on are predicted after the last.",
    )
    held_out: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of training videos kept out of training; adds a column for the epoch with the lowest "
        "label-free loss on them.",
    )
    snippets: int = Field(
        200, ge=4, description="L, the number of snippets that each video's features are resampled to."
    )
    normalise: Normalise = Field(
        "none",
        description="Scaling of the features: none for I3D and C3D, l2 for snippets of norm 1, rows for norm 1 of each "
        "row that a snippet averages. On the CLIP features in docs/results.md none was better than l2.",
    )
    optimisation: OptimisationSettings = Field(
        OptimisationSettings(), description="Adam: its learning rate over time, weight decay, clipping, precision."
    )


class ModelSettings(TrainSection):
    """What the training of one model is given besides its sections, whatever its method."""

    dataset: str
    model: str
    seed: int
    streams: tuple[str, ...]
    teachers: tuple[str, ...]
    device: Device
