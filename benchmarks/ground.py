"""What a question costs: a video's features once, then milliseconds a sentence; memory; ONNX Runtime beside PyTorch.

The model has the paper's sizes and untrained weights, which cost the same. Videos are drawn here; the command runs as a
process of its own for each length, so that the peak memory can be seen not to grow. --quick stops the extractor at its
first layers: for memory, not for time.

    PYTHONPATH=workflow python benchmarks/ground.py --seconds 60
    PYTHONPATH=workflow python benchmarks/ground.py --seconds 60 3600 --fps 5 --short-side 128 --quick
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import stages
import torch
import yaml

from vidistill.base import code, store
from vidistill.commands import exportable, onnx, trained
from vidistill.commands.ground import Grounder
from vidistill.commands.one_video import Video
from vidistill.commands.trained import MMDistModel
from vidistill.data.text import masking_weight
from vidistill.features import extract, networks, options
from vidistill.mmdist import fit
from vidistill.mmdist import model as models
from vidistill.settings.mmdist import NetworkSettings

WORDS = ["the", "a", "person", "opens", "door", "sits", "down", "stands", "up", "walks", "and", "takes", "box"]
WORDS += [f"w{number}" for number in range(1111 - len(WORDS))]  # as many as Charades-STA's
VOCABULARY = json.dumps(
    {"words": WORDS, "weights": [masking_weight(word) for word in WORDS], "max_words": 20}
    | {"word_vectors": "given", "excluded_queries": []}
)
SENTENCES = [
    "a person opens the door",
    "the person sits down",
    "a person takes the box and walks",
    "a person stands up",
] * 2


def make_model(path: Path, fps: float, short_side: int, endpoint: str, threads: int) -> None:
    """An untrained student with all that a trained one carries."""
    config = yaml.safe_load(stages.CONFIG.read_text())
    section = config["i3d"] | {"extractor": "i3d", "input": "frames", "device": "cpu"}
    settings = options.read(json.dumps(section | {"endpoint": endpoint, "threads": threads}))
    extractor = networks.build(settings, torch.device("cpu"))
    decoding = {**config["decode"], "fps": fps, "short_side": short_side}
    origin = {
        "settings": json.dumps(decoding),
        "code": code.digest("vidistill.video.decode"),
        "versions": json.dumps(store.versions("av", "h5py", "numpy")),
    }
    width = extractor([np.zeros((1, 16, 64, 64, 3), np.uint8)], 16).shape[-1]
    train = (
        config["train"]
        | config["mmdist"]
        | {
            "dataset": "benchmark",
            "model": "student",
            "seed": 0,
            "device": "cpu",
            "streams": ["rgb"],
        }
    )
    train |= {"teachers": [], "network": {**config["mmdist"]["network"], "kind": "single"}}
    network = models.build(
        NetworkSettings(**train["network"]), [width], torch.randn(len(WORDS) + 1, 300), learned_words=False, local=True
    )
    models.save(
        path,
        network,
        settings=json.dumps(train),
        vocabulary=VOCABULARY,
        features=json.dumps({"rgb": json.loads(extract.describe(settings, extractor, origin))}),
        window="30.0",
        bank=json.dumps([" ".join(words) for words in np.random.default_rng(0).choice(WORDS, (fit.BANK, 6))]),
        bar="0.0",
    )


def command(model: Path, video: Path, work: Path, threads: int) -> stages.Cost:
    """`vidistill ground` as a process of its own, a picture included; disk is what the answers take."""
    out = work / "answers.json"
    line = [
        sys.executable,
        "-m",
        "vidistill",
        "ground",
        str(video),
        *SENTENCES[:4],
        "--model",
        str(model),
        "--json",
        str(out),
    ]
    line += ["--picture", str(work / "answers.png"), "--threads", str(threads), "--work", str(work), "--device", "cpu"]
    started = time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"vidistill ground failed: {' '.join(line)}")
    wall = time.perf_counter() - started
    return stages.Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10, out.stat().st_size / 2**20)


def milliseconds(what: Callable[[], Any], times: int) -> float:
    """The shortest duration of a call, as other work on the machine only adds to it."""
    what()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        what()
        found.append(time.perf_counter() - started)
    return 1000 * min(found)


def queries(model: Path, seconds: float, threads: int, times: int) -> None:
    """Print what a sentence costs once the features are there, and the network alone in PyTorch and ONNX Runtime."""
    grounder = Grounder(model, device="cpu", threads=threads)
    about = grounder.trained
    assert isinstance(about, MMDistModel)
    width = sum(about.network.feature_dims)
    watched = Video(
        "v", seconds, {"rgb": np.random.default_rng(0).normal(size=(int(seconds * 25 / 8), width)).astype("f4")}
    )
    hour = Video("v", 3600.0, {"rgb": np.zeros((11250, width), np.float32)})
    spent = milliseconds(lambda: grounder.ask(hour, SENTENCES[:1]), 1)
    print(f"ask,  1 sentence of an hour of video, by windows {spent:10.1f} ms")
    whole = Grounder(model, device="cpu", threads=threads, window=math.inf)
    spent = milliseconds(lambda: whole.ask(hour, SENTENCES[:1]), times)
    print(f"ask,  1 sentence of an hour of video, whole {spent:10.1f} ms")
    for count in (1, 8):
        spent = milliseconds(lambda n=count: grounder.ask(watched, SENTENCES[:n]), times)
        print(f"ask, {count:2} sentences of {seconds:.0f} s of video {spent / count:10.1f} ms a sentence")
    try:
        import onnxruntime
    except ImportError:
        print("no onnxruntime here")
        return
    path = model.with_suffix(".onnx")
    made = exportable.of(trained.load(model))
    onnx.export(made, path)
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, chosen)
    for count in (1, 8):
        tokens = torch.zeros(count, 20, dtype=torch.long)
        tokens[:, :7] = 3
        inputs = (torch.randn(count, 200, width), tokens, torch.arange(20).expand(count, 20) % 3 == 0)
        feed = dict(zip(made.inputs, (x.numpy() for x in inputs), strict=True))
        with torch.inference_mode():
            ours = milliseconds(lambda given=inputs: made.module(*given), times)
        theirs = milliseconds(lambda given=feed: session.run(None, given), times)
        rates = f"PyTorch {ours / count:7.1f} ms, ONNX Runtime {theirs / count:7.1f} ms a sentence"
        print(f"network, {count:2} sentences: {rates}, {ours / theirs:.2f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="*", default=[60.0], help="lengths of the drawn videos")
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--short-side", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--quick", action="store_true")
    a = parser.parse_args()
    print(vars(a))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        endpoint = stages.QUICK["i3d"]["endpoint"] if a.quick else "features"
        make_model(folder / "model.safetensors", a.fps, a.short_side, endpoint, a.threads)
        for seconds in a.seconds:
            stages.draw(folder / "v.mp4", seconds, a.short_side * 4 // 3 // 2 * 2, a.short_side, rate=10)
            cost = command(folder / "model.safetensors", folder / "v.mp4", folder, a.threads)
            spent = f"{cost.wall:.1f} s, {cost.cpu:.1f} CPU s, {cost.memory:.0f} MB"
            print(f"vidistill ground, {seconds:6.0f} s of video: {spent}", flush=True)
        if not a.quick:
            queries(folder / "model.safetensors", 30.0, a.threads, a.times)


if __name__ == "__main__":
    main()
