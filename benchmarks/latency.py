"""How much sooner EMTM's student answers than MMDist's, at the sizes of config/config.yaml for Charades-STA.

Weights are untrained and features random, which costs the same. The models answer in turn, on one thread.

    PYTHONPATH=workflow python benchmarks/latency.py --rounds 5
"""

import argparse
import json
import statistics
import string
import tempfile
from pathlib import Path

import torch
import yaml
from ground import SENTENCES, VOCABULARY, WORDS
from stages import CONFIG

from vidistill.base.settings import parse
from vidistill.emtm import model as emtm
from vidistill.evaluation import efficiency
from vidistill.mmdist import model as mmdist
from vidistill.planning.config import complete
from vidistill.planning.plan import Plan
from vidistill.settings.emtm import TrainSettings as EmtmSettings
from vidistill.settings.mmdist import TrainSettings as MMDistSettings

FEATURES = 1024  # of I3D
MODELS = ("student", "teacher", "fast", "seqpan")


def write(plan: Plan, model: str, path: Path) -> None:
    """An untrained model of the size that it has on Charades-STA."""
    settings, vectors = json.dumps(plan.train("charades", model, 0)), torch.randn(len(WORDS) + 1, 300)
    if plan.method(model) == "mmdist":
        s = parse(MMDistSettings, settings)
        network = mmdist.build(
            s.network, [FEATURES] * len(s.streams), vectors, learned_words=False, local=s.loss.local_learning
        )
        mmdist.save(path, network, settings=settings, vocabulary=VOCABULARY)
        return
    t = parse(EmtmSettings, settings)
    known = list(string.ascii_lowercase)
    spans = emtm.build(t, FEATURES, vectors, learned_words=False, characters=known)
    emtm.save(path, spans, t, shape=emtm.Shape(FEATURES, *vectors.shape), characters=known, vocabulary=VOCABULARY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)  # on the proposals depends what attention leaves out
    plan = Plan(complete(yaml.safe_load(CONFIG.read_text())))
    with tempfile.TemporaryDirectory() as place:
        prepared = {}
        for model in MODELS:
            path = Path(place, f"{model}.safetensors")
            write(plan, model, path)
            prepared[model] = efficiency.prepare(plan.method(model), path, SENTENCES, torch.device("cpu"))
        taken = {model: [] for model in MODELS}
        for _ in range(a.rounds):
            for model in MODELS:
                taken[model].append(efficiency.latency(prepared[model].answer, warm_up=10, queries=50))
        for model in MODELS:
            ms, costs = statistics.median(taken[model]), efficiency.multiply_adds(prepared[model].answer)
            ratio = statistics.median(taken["student"]) / ms
            costs_of_it = f"{prepared[model].snippets} snippets, {costs / 1e6:.1f} M multiply-adds, {ms:.2f} ms"
            print(f"{model:8} {costs_of_it}: {ratio:.1f} times as fast as student")


if __name__ == "__main__":
    main()
