"""The weights of a network after several epochs, in one file."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vidistill.base import store
from vidistill.training import model_file


def keep(work: Path, epoch: int, network: nn.Module) -> None:
    """Keep the weights after an epoch in `work`."""
    model_file.save(_file(work, epoch), network, {})


def pack(work: Path, epochs: Iterable[int], path: Path) -> None:
    """Write the weights that were kept after these epochs into one file."""
    tensors = {f"{epoch}/{name}": tensor for epoch in epochs for name, tensor in load_file(_file(work, epoch)).items()}
    with store.atomic(path) as temporary:
        save_file(tensors, temporary)


def read(path: Path) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Each epoch, in order, and its weights by name."""
    with safe_open(path, "pt") as file:
        names = [name.partition("/") for name in file.keys()]  # noqa: SIM118 # not a dictionary
        for epoch in sorted({int(epoch) for epoch, _, _ in names}):
            yield epoch, {name: file.get_tensor(f"{of}/{name}") for of, _, name in names if int(of) == epoch}


def _file(work: Path, epoch: int) -> Path:
    return work / f"weights-{epoch:04d}.safetensors"
