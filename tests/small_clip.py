"""A small CLIP model, which open_clip builds from its description; random weights. Tests skip without open_clip."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from vidistill.base.stage import UserError
from vidistill.features import clip

SIZE, WIDTH = 32, 24  # of the images, of a vector
MODEL = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPARATION = {"mean": [0.5, 0.4, 0.3], "std": [0.25, 0.25, 0.2], "interpolation": "bicubic", "resize_mode": "shortest"}


def open_clip() -> Any:
    """The package; the test is skipped where it cannot be imported, as with a torchvision for another PyTorch."""
    try:
        return clip.package()
    except UserError as error:
        pytest.skip(str(error))


def write(folder: Path, **preparation: Any) -> dict[str, str]:
    """Configuration and weights on disk, as settings."""
    package = open_clip()
    folder.mkdir(parents=True, exist_ok=True)
    files = {"config": folder / clip.CONFIG, "weights": folder / "open_clip_model.safetensors"}
    content = {"model_cfg": MODEL, "preprocess_cfg": {**PREPARATION, **preparation}}
    files["config"].write_text(json.dumps(content))
    import torch

    with torch.random.fork_rng(devices=[]), clip._quietly():
        torch.manual_seed(7)
        network = package.create_model(f"local-dir:{folder}", load_weights=False)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, files["weights"])
    return {name: str(path) for name, path in files.items()}
