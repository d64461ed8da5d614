"""Export a trained model to ONNX, for runtimes other than PyTorch.

Features and words are inputs of the ONNX model; see docs/ground.md.
"""

import argparse
import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from vidistill.base import files, store
from vidistill.base.stage import UserError, run
from vidistill.commands import exportable, trained
from vidistill.commands.command_line import Parser
from vidistill.commands.exportable import Exportable

OPSET = 20
NEEDED = ("onnx", "onnxscript")


def export(model: Exportable, path: Path) -> None:
    """Write the model to `path`. Batches may have any size.

    Raises:
        UserError: packages are missing.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"{' and '.join(missing)} cannot be imported; install them with pip install 'vidistill[onnx]'.")
    import onnx

    batch = torch.export.Dim("batch", min=1)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),  # it prints the exporter's internals
        sdpa_kernel(SDPBackend.MATH),  # the exporter assumes another memory layout than the other kernels have
    ):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.module,
            tuple(model.inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(model.inputs),
            output_names=model.outputs,
            dynamic_shapes={name: {0: batch} for name in model.inputs},
            optimize=False,  # it would remove the 1e-10 that keeps the logarithm of a mask finite
            verbose=False,
        )
    assert program is not None
    found = program.model_proto
    onnx.helper.set_model_props(found, model.metadata)
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
    made = exportable.of(model)
    export(made, args.output)
    print(f"{args.output}: {', '.join(made.inputs)} -> {', '.join(made.outputs)}")


if __name__ == "__main__":
    main()
