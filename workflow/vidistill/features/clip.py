"""Models of open_clip, an optional package (CLIP, SigLIP, MobileCLIP): by name, from a file or from the hub."""

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.settings.clip import OpenCLIPSection

HUB = "hf-hub:"
CONFIG = "open_clip_config.json"  # the file that describes a model on the hub
PACKAGES = ("open_clip_torch", "timm", "torchvision", "pillow")  # whose versions a provenance records
PREPARATION = ("mean", "std", "interpolation", "resize_mode")  # keys of a tag


class Model(NamedTuple):
    """A network of open_clip, in evaluation mode on the CPU.

    Attributes:
        preparation: of images, as open_clip's PreprocessCfg.
        files: setting -> file that was read; without `weights` they are random.
    """

    network: Any  # open_clip has no types
    config: dict[str, Any]
    preparation: dict[str, Any]
    files: dict[str, str]


def package() -> ModuleType:
    """The package open_clip.

    Raises:
        UserError: it is not installed, or cannot be imported.
    """
    try:
        import open_clip
    except ImportError as error:
        raise UserError(
            f"CLIP models need the package open_clip ({error}); install it with `pip install 'vidistill[clip]'`."
        ) from error
    except RuntimeError as error:  # torchvision's, if it was built for another PyTorch
        raise UserError(
            f"open_clip cannot be imported ({error}); install the torchvision that was built for this PyTorch "
            f"({torch.__version__}), from where PyTorch was installed."
        ) from error
    return open_clip


def load(settings: OpenCLIPSection) -> Model:
    """The model that the settings describe; random weights are a function of the seed.

    Raises:
        UserError: open_clip is missing, has no such model or tag, or a file does not fit.
    """
    open_clip = package()
    config, preparation, files = _described(open_clip, settings)
    with (
        torch.random.fork_rng(devices=[]),
        _as_folder(config) as folder,
        _explained(settings, "cannot be built"),
        _quietly(),
    ):
        torch.manual_seed(settings.seed)
        network = open_clip.create_model(folder, load_weights=False, pretrained_text=False)
    if "weights" in files:
        _fill(open_clip, network, files["weights"], settings)
    size = network.visual.image_size
    preparation["size"] = list(size) if isinstance(size, tuple | list) else size
    return Model(network.eval().requires_grad_(False), config, preparation, files)


def tokeniser(model: Model, settings: OpenCLIPSection) -> Any:
    """What turns texts into the numbers that a model's text encoder reads.

    Raises:
        UserError: it cannot be had; some are on the hub alone.
    """
    open_clip = package()
    with _as_folder(model.config) as folder, _explained(settings, "lacks its tokeniser"):
        return open_clip.get_tokenizer(folder)


def versions() -> dict[str, str]:
    return store.versions("numpy", "torch", *PACKAGES)


def _described(
    open_clip: ModuleType, settings: OpenCLIPSection
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The model's configuration, its preparation of images and its files, fetched from the hub where they are there."""
    files = {name: path for name in ("config", "weights") if (path := getattr(settings, name))}
    if settings.model.startswith(HUB) and "config" not in files:
        with _explained(settings, "cannot be fetched from the hub"):
            files["config"] = _from_hub(open_clip, settings.model, CONFIG)
            if "weights" not in files:
                files["weights"] = _from_hub(open_clip, settings.model, None)
    if "config" in files:
        return *_read(files["config"]), files
    config = open_clip.get_model_config(settings.model)
    if config is None:
        raise UserError(f"open_clip has no model {settings.model!r}; it has {_some(open_clip.list_models())}.")
    preparation, tag = _of_tag(open_clip, settings)
    if tag.get("quick_gelu", False) != config.get("quick_gelu", False) and tag:
        other = settings.model.removesuffix("-quickgelu") + ("-quickgelu" if tag.get("quick_gelu") else "")
        raise UserError(
            f"the CLIP weights {settings.pretrained!r} were trained with other activations than those of the model "
            f"{settings.model}; set model: {other}."
        )
    if tag and "weights" not in files:
        with _explained(settings, "cannot be fetched from the hub"):
            files["weights"] = open_clip.download_pretrained(tag)
    return config, preparation, files


def _of_tag(open_clip: ModuleType, settings: OpenCLIPSection) -> tuple[dict[str, Any], dict[str, Any]]:
    """How weights of a named model want images prepared, and open_clip's entry of the tag; empty without one."""
    name = settings.model
    tags = {tag: open_clip.get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)}
    if settings.pretrained:
        clean = settings.pretrained.lower().replace("-", "_")
        if clean not in tags:
            raise UserError(f"open_clip has no weights {settings.pretrained!r} of {name}; it has {_some(tags)}.")
        return _preparation(open_clip, tags[clean]), tags[clean]
    found = [_preparation(open_clip, tag) for tag in tags.values()] or [_preparation(open_clip, {})]
    if settings.weights and any(way != found[0] for way in found):
        raise UserError(
            f"{settings.weights}: frames are prepared differently for different weights of {name}; set pretrained to "
            f"the tag of these, one of {_some(tags)}."
        )
    return found[0], {}


def _preparation(open_clip: ModuleType, given: dict[str, Any]) -> dict[str, Any]:
    """Defaults and what is given, as plain values."""
    whole = open_clip.transform.merge_preprocess_dict(open_clip.transform.PreprocessCfg(), given)
    return json.loads(json.dumps(whole))


def _read(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and the preparation in an open_clip_config.json."""
    open_clip = package()
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return content["model_cfg"], _preparation(open_clip, content.get("preprocess_cfg", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not an {CONFIG} with model_cfg ({error!r}); correct config.") from error


def _from_hub(open_clip: ModuleType, model: str, file: str | None) -> str:
    return open_clip.pretrained.download_pretrained_from_hf(model.removeprefix(HUB), filename=file)


def _fill(open_clip: ModuleType, network: Any, path: str, settings: OpenCLIPSection) -> None:
    try:
        with _named_by_content(path) as named:
            open_clip.load_checkpoint(network, named, strict=True, weights_only=True)
    except Exception as error:  # of PyTorch's readers for damaged files, and of open_clip's own conversions
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path} has no weights of {settings.config or settings.model} that open_clip reads ({reason}); correct "
            "model or weights."
        ) from error
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise UserError(f"{path} has weights that are not finite; download it again.")


@contextmanager
def _named_by_content(path: str) -> Iterator[str]:
    """The file under a name by which open_clip recognises its form: files of weights are found whatever their names."""
    with open(path, "rb") as file:
        # safetensors: the length of a JSON header, then that header.
        suffix = ".safetensors" if file.read(9)[8:] == b"{" else ".pt"
    if Path(path).suffix in (suffix, ".npz", ".npy"):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="vidistill-clip-") as folder:
        link = Path(folder) / f"weights{suffix}"
        link.symlink_to(Path(path).resolve())
        yield str(link)


@contextmanager
def _as_folder(config: dict[str, Any]) -> Iterator[str]:
    """open_clip's name of a model that a folder describes, the one form in which it takes any configuration."""
    with tempfile.TemporaryDirectory(prefix="vidistill-clip-") as folder:
        store.write_json(Path(folder) / CONFIG, {"model_cfg": config})
        yield f"local-dir:{folder}"


@contextmanager
def _quietly() -> Iterator[None]:
    """Without open_clip's warning that weights are random, which are filled in afterwards."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _explained(settings: OpenCLIPSection, what: str) -> Iterator[None]:
    """Turn whatever open_clip, timm or the hub raise into one sentence."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"the CLIP model {settings.config or settings.model} {what} ({reason}); correct model and "
            "pretrained, or name local files as config and weights."
        ) from error


def _some(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "none"
