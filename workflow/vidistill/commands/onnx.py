"""Export a trained model to ONNX, for runtimes other than PyTorch.

Features and masked words are inputs of the ONNX model; see docs/ground.md.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vidistill.base import files, store
from vidistill.base.stage import UserError, run
from vidistill.commands import trained
from vidistill.commands.command_line import Parser
from vidistill.commands.trained import Trained
from vidistill.mmdist import predict, proposals
from vidistill.mmdist.batch import Batch

OPSET = 20
INPUTS = ("features", "tokens", "masked_words")
NEEDED = ("onnx", "onnxscript")


class Grounding(nn.Module):
    """The module that is exported."""

    def __init__(self, model: Trained):
        super().__init__()
        self.network, self._settings = model.network, model.settings

    def forward(self, features: Tensor, tokens: Tensor, masked_words: Tensor) -> tuple[Tensor, ...]:
        """Proposals of a batch of sentences.

        Args:
            features: (B, L, D), resampled to the model's L snippets; streams are concatenated.
            tokens: (B, W) ids of known words, 0 for padding.
            masked_words: (B, W) bool, the words masked for scoring.

        Returns:
            Starts and ends (B, K, 2), from 0 to 1; scores and reconstruction errors (B, K); with a local branch, the
            semantic activation map (B, L).
        """
        streams = list(features.split(self.network.feature_dims, dim=-1))
        batch = Batch(streams, torch.arange(tokens.shape[0]), tokens, masked_words)
        s = self._settings
        center, width, errors, scores, maps = predict.infer(self.network, batch, s.loss, s.score_weight)
        fused = predict.fuse(maps)
        return (proposals.moments(center, width), scores, errors, *([] if fused is None else [fused]))


def outputs(model: Trained) -> list[str]:
    """Names of the outputs, in the order of `Grounding.forward`."""
    found = ["moments", "scores", "reconstruction_errors"]
    return [*found, "activation_map"] if model.network.has_local_branch else found


def metadata(model: Trained) -> dict[str, str]:
    """Metadata of the file: how to make its inputs."""
    s = model.settings
    return {
        "model": model.name,
        "sha256": store.file_digest(model.path),
        "vocabulary": json.dumps(model.vocabulary.words),
        "word_weights": json.dumps(model.vocabulary.weights),
        "snippets": str(s.snippets),
        "normalise": s.normalise,
        "seed": str(s.seed),
        "features": json.dumps(model.features, sort_keys=True),
    }


def export(model: Trained, path: Path) -> None:
    """Write the model to `path`. Batches may have any size; sentences are padded to the vocabulary's `max_words`.

    Raises:
        UserError: packages are missing.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"{' and '.join(missing)} cannot be imported; install them with pip install 'vidistill[onnx]'.")
    import onnx

    s, words = model.settings, model.vocabulary.max_words
    tokens = torch.zeros(2, words, dtype=torch.long)
    tokens[:, : min(3, words)] = 1
    example = (torch.zeros(2, s.snippets, sum(model.network.feature_dims)), tokens, tokens > 0)
    batch = torch.export.Dim("batch", min=1)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),  # it prints the exporter's internals
        sdpa_kernel(SDPBackend.MATH),  # the exporter assumes another memory layout than the other kernels have
    ):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Grounding(model).eval(),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=outputs(model),
            dynamic_shapes={name: {0: batch} for name in INPUTS},
            optimize=False,  # it would remove the 1e-10 that keeps the logarithm of a mask finite
            verbose=False,
        )
    assert program is not None
    found = program.model_proto
    onnx.helper.set_model_props(found, metadata(model))
    onnx.checker.check_model(found, full_check=True)
    with store.atomic(path) as temporary:
        onnx.save(found, str(temporary))


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # its warnings are about things not needed here
    parser = Parser("vidistill onnx", __doc__)
    parser.add_argument("model", type=Path, metavar="MODEL", help="model.safetensors, or a result (.json)")
    parser.add_argument("output", type=Path, metavar="OUT", help="the ONNX file")
    run(lambda: _export(parser.read(arguments)))


def _export(args: argparse.Namespace) -> None:
    model = trained.load(args.model)
    files.check_output(args.output, "give another file for the ONNX model", [args.model, model.path])
    export(model, args.output)
    print(f"{args.output}: {', '.join(INPUTS)} -> {', '.join(outputs(model))}")


if __name__ == "__main__":
    main()
