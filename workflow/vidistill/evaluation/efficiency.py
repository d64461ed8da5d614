"""Stage `efficiency`: parameters, multiply-adds and latency of trained models, all measured by one job.

Words and features are in memory, the batch has one query (or, for labels, one video), and the answer is in seconds:
decoding counts, reading and feature extraction do not.
"""

import importlib
import logging
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vidistill.base import device, store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError, arguments, run
from vidistill.data import labels
from vidistill.settings.efficiency import EfficiencySettings
from vidistill.training.efficiency import Prepared

log = logging.getLogger(__name__)


def multiply_adds(answer: Callable[[], object]) -> int:
    """Multiply-adds of matrix products and convolutions in a call."""
    # The counter sees neither fused attention nor fused LSTMs; without them, it sees their products.
    with warnings.catch_warnings(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        warnings.simplefilter("ignore")
        with torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
            answer()
    return int(counter.get_total_flops()) // 2


def latency(answer: Callable[[], object], warm_up: int, queries: int) -> float:
    """The median time in ms of `queries` calls after `warm_up`; an answer is on the CPU, so no GPU is still at work."""
    taken = []
    for _ in range(warm_up + queries):
        started = time.perf_counter()
        answer()
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken[warm_up:])


def measure(prepared: Prepared, settings: EfficiencySettings) -> dict[str, Any]:
    """The row of a model."""
    return {
        "parameters": prepared.parameters,
        "multiply_adds": multiply_adds(prepared.answer),
        "latency_ms": round(latency(prepared.answer, settings.warm_up, settings.queries), 4),
        "words": prepared.words,
        "snippets": prepared.snippets,
    }


def prepare(method: str, path: Path, sentences: Sequence[str], where: torch.device) -> Prepared:
    """A model with one query at hand, by its own method's code.

    The module is found by its name, so that this stage's code does not grow with every method: the rule records the
    code of the methods that it measures.
    """
    found: Prepared = importlib.import_module(f"vidistill.{method}.efficiency").prepare(path, sentences, where)
    return found


def processor(where: torch.device) -> str:
    """The name of the device, as far as the system tells it."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def by_model(items: Iterable[str], models: Iterable[str]) -> dict[str, Path]:
    """`MODEL=FILE` arguments by model.

    Raises:
        UserError: a model has no file.
    """
    files = {model: Path(path) for model, _, path in (item.partition("=") for item in items)}
    if lacking := [model for model in models if model not in files]:
        raise UserError(f"--models has no file for model {lacking[0]!r}; add {lacking[0]}=FILE.")
    return files


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=[], help="MODEL=FILE, one seed of every model")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    s = parse(EfficiencySettings, args.settings)
    files = by_model(args.models, s.methods)
    where = device.choose(s.device, s.threads)
    sentences = labels.with_sentences(store.read_table(args.queries, ["sentence", "label"]))["sentence"].tolist()
    rows = {}
    for model, method in s.methods.items():
        rows[model] = measure(prepare(method, files[model], sentences, where), s)
        log.info("%s: %s", model, rows[model])
    about = {"device": processor(where), "threads": s.threads, "warm_up": s.warm_up, "queries": s.queries}
    store.write_json(args.output, {**about, "models": rows, "versions": store.versions("torch")})


if __name__ == "__main__":
    run(main)
