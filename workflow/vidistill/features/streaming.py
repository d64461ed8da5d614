"""I3D on a video of any length that comes in parts, with the features of the whole video at once.

Each layer keeps those of its last inputs that its next outputs need, so no part needs context from its neighbours.
"""

import torch
from torch import Tensor

from vidistill.features.i3d import I3D, Layer, same_padding


class Streamed:
    """A layer on inputs of known total length that come in parts.

    Args:
        frames: the total length in time.

    Attributes:
        count: the total length of the outputs.
        held: the last inputs, for the next outputs.
    """

    def __init__(self, layer: Layer, frames: int):
        self._layer, self._frames = layer, frames
        if layer.padded:
            self.count = -(-frames // layer.stride)
            self._before = same_padding(frames, layer.kernel, layer.stride)[0]
        else:
            self.count = max(frames - layer.kernel + 1, 1)
            self._before = 0
        self.held: Tensor | None = None
        self._start = self._done = 0  # the first input that is held; outputs so far

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs (B, C, T, H, W) that follow the previous ones -> the outputs that they complete; T = 0 for none."""
        _, kernel, stride, _ = self._layer
        if self.held is not None and self.held.shape[2]:
            x = torch.cat([self.held, x], 2)
        # The layer pads what it is given by its length, so that must have the whole's remainder, and begin at a
        # multiple of the stride. Outputs that see padding within the video are dropped.
        stop = self._start + x.shape[2]
        given = x.shape[2] - (stop - self._frames) % stride
        ready = self.count if stop == self._frames else (self._start + given + self._before - kernel) // stride + 1
        y = x[:, :, :0]
        if ready > self._done:
            first = self._start // stride
            y = self._layer.apply(x[:, :, :given])[:, :, self._done - first : ready - first]
            self._done = ready
        start = max(self._done * stride - self._before, 0) // stride * stride
        self.held = x[:, :, start - self._start :].clone()  # a view would keep all of x
        self._start = start
        return y


class Stream:
    """A network on one video of `frames` frames, or on several at once."""

    def __init__(self, network: I3D, frames: int):
        self._dimension = network.dimension
        self.layers: list[Streamed] = []
        for layer in network.layers():
            self.layers.append(Streamed(layer, frames))
            frames = self.layers[-1].count

    def __call__(self, x: Tensor) -> Tensor:
        """Frames (B, C, T, H, W) that follow the previous ones -> the vectors (B, V, D) that they complete."""
        for layer in self.layers:
            x = layer(x)
            if x.shape[2] == 0:
                return x.new_empty(len(x), 0, self._dimension)
        return x.mean((3, 4)).transpose(1, 2)
