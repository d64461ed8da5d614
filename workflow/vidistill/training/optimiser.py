"""Adam for every method: decay groups, and the learning rate of each update."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from vidistill.settings.train import OptimisationSettings

FIRST_BETA = 0.9


def build(network: nn.Module, settings: OptimisationSettings) -> torch.optim.Adam:
    """Adam over the trainable parameters: AdamW, by which LayerNorm and biases do not decay, or with coupled decay."""
    betas = (FIRST_BETA, settings.second_beta)
    named = [
        (parameter, isinstance(module, nn.LayerNorm) or name.endswith("bias"))
        for module in network.modules()
        for name, parameter in module.named_parameters(recurse=False)
    ]
    kept = {id(parameter) for parameter, is_kept in named if is_kept}
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if settings.decay == "coupled":
        group = {"params": trainable, "share": 1.0}
        return torch.optim.Adam([group], lr=settings.learning_rate, betas=betas, eps=settings.epsilon)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if id(p) not in kept], "share": 1.0},
        {"params": [p for p in trainable if id(p) in kept], "share": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=settings.learning_rate, betas=betas, eps=settings.epsilon
    )


def set_rate(optimiser: torch.optim.Adam, settings: OptimisationSettings, rate: float, update: int) -> None:
    """Prepare an update (from 1) with this learning rate.

    PyTorch always corrects Adam's moments m and v by c = 1 - beta^update. Without correction, rate m / (sqrt(v) + eps)
    is its step for a rate times c_1 / sqrt(c_2) and an epsilon over sqrt(c_2).
    """
    first, second = (
        (1.0, 1.0) if settings.bias_correction else (1 - beta**update for beta in (FIRST_BETA, settings.second_beta))
    )
    scale = first / second**0.5
    for group in optimiser.param_groups:
        group["lr"] = rate * scale
        group["eps"] = settings.epsilon / second**0.5
        decay = group["share"] * settings.weight_decay
        group["weight_decay"] = decay if settings.decay == "coupled" else decay / scale


def schedule(settings: OptimisationSettings, updates_per_epoch: int) -> Callable[[int], float]:
    """The learning rate of an update (from 1)."""
    o = settings
    peak, warmup = o.learning_rate, o.warmup_updates

    def rate(update: int) -> float:
        epoch = (update - 1) // updates_per_epoch  # from 0
        if epoch < o.slow_epochs:
            return o.slow_rate
        if o.schedule == "inverse_sqrt":
            return peak * (update / warmup if update <= warmup else (warmup / update) ** 0.5)
        if o.schedule == "step":
            return peak * (o.step_factor if epoch + 1 >= o.step_epoch else 1)
        return peak * (1 - epoch / o.epochs if o.schedule == "linear" else 1)

    return rate
