"""How much sooner EMTM's student answers than MMDist's, at the sizes of config/config.yaml for Charades-STA.

Weights are untrained and features random, which costs the same. The models answer in turn, on one thread: in PyTorch,
and by ONNX Runtime from the files of `vidistill onnx`, whose sentences are padded to the longest.

    PYTHONPATH=workflow python benchmarks/latency.py --rounds 5
"""

import argparse
import json
import logging
import statistics
import string
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
import yaml
from ground import SENTENCES, VOCABULARY, WORDS
from stages import CONFIG

from vidistill.base.settings import parse
from vidistill.commands import exportable, onnx, trained
from vidistill.emtm import model as emtm
from vidistill.evaluation import efficiency
from vidistill.mmdist import model as mmdist
from vidistill.planning.config import complete
from vidistill.planning.plan import Plan
from vidistill.settings.emtm import TrainSettings as EmtmSettings
from vidistill.settings.mmdist import TrainSettings as MMDistSettings

FEATURES = 1024  # of I3D
MODELS = ("student", "teacher", "fast", "seqpan")
ERRORS = 3  # the least severe that ONNX Runtime prints


def write(plan: Plan, model: str, path: Path) -> None:
    """An untrained model of the size that it has on Charades-STA."""
    settings, vectors = json.dumps(plan.train("charades", model, 0)), torch.randn(len(WORDS) + 1, 300)
    about = {"vocabulary": VOCABULARY, "features": json.dumps({"rgb": {}, "flow": {}})}
    if plan.method(model) == "mmdist":
        s = parse(MMDistSettings, settings)
        network = mmdist.build(
            s.network, [FEATURES] * len(s.streams), vectors, learned_words=False, local=s.loss.local_learning
        )
        mmdist.save(path, network, settings=settings, **about)
        return
    t = parse(EmtmSettings, settings)
    known = list(string.ascii_lowercase)
    spans = emtm.build(t, FEATURES, vectors, learned_words=False, characters=known)
    emtm.save(path, spans, t, shape=emtm.Shape(FEATURES, *vectors.shape), characters=known, **about)


def session(path: Path, threads: int) -> Callable[[], object]:
    """A question of one sentence to the model, exported to ONNX; answered by its best moments."""
    made, exported = exportable.of(trained.load(path)), path.with_suffix(".onnx")
    onnx.export(made, exported)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, ERRORS
    runtime = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    given = {**made.inputs, "features": torch.randn_like(made.inputs["features"])}
    feed = {name: tensor[:1].numpy() for name, tensor in given.items()}
    return lambda: runtime.run(["moments", "scores"], feed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)  # on the proposals depends what attention leaves out
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    plan = Plan(complete(yaml.safe_load(CONFIG.read_text())))
    with tempfile.TemporaryDirectory() as place:
        prepared, answers = {}, {}
        for model in MODELS:
            path = Path(place, f"{model}.safetensors")
            write(plan, model, path)
            prepared[model] = efficiency.prepare(plan.method(model), path, SENTENCES, torch.device("cpu"))
            answers["PyTorch", model] = prepared[model].answer
            answers["ONNX Runtime", model] = session(path, a.threads)
        taken: dict[tuple[str, str], list[float]] = {key: [] for key in answers}
        for _ in range(a.rounds):
            for key, answer in answers.items():
                taken[key].append(efficiency.latency(answer, warm_up=10, queries=50))
        for model in MODELS:
            costs = efficiency.multiply_adds(prepared[model].answer)
            print(f"{model}: {prepared[model].snippets} snippets, {costs / 1e6:.1f} M multiply-adds")
            for runtime in ("PyTorch", "ONNX Runtime"):
                ms, others = (statistics.median(taken[runtime, name]) for name in (model, "student"))
                print(f"  {runtime}: {ms:.2f} ms, {others / ms:.1f} times as fast as student")


if __name__ == "__main__":
    main()
