"""How fast frames go through a CLIP image encoder, and how much memory that takes, by batch and arithmetic.

Random weights, which compute as long as trained ones, and random frames; each setting in a process of its own, for its
peak of memory. On a CPU, rates are by processor time, since other work may run beside.

    PYTHONPATH=workflow python benchmarks/clip.py --threads 1 --batches 1 8 32
    PYTHONPATH=workflow python benchmarks/clip.py --device cuda --batches 32 256 1024 --frames 8192    # on a GPU
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from vidistill.features import clip, options
from vidistill.features.clip_images import CLIPExtractor
from vidistill.settings.clip import OpenCLIPSection

SIZE = 256, 340  # of a frame, as decode gives it


def measure(a: argparse.Namespace, batch: int, precision: str, weights: str) -> dict[str, float]:
    """Frames a second of preparation and of the network, and peak memory, in this process."""
    torch.set_num_threads(a.threads)
    about = {"extractor": "clip", "input": "frames", "model": a.model, "weights": weights, "threads": a.threads}
    section = {**about, "device": a.device, "batch": batch, "precision": precision}
    settings = options.read(json.dumps(section))
    extractor = CLIPExtractor(settings, torch.device(a.device))  # type: ignore[arg-type]
    loading = peak()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: loading has held the weights twice
    before = peak()
    frames = np.random.default_rng(0).integers(0, 256, (batch, *SIZE, 3), dtype=np.uint8)
    clock = time.process_time if a.device == "cpu" else time.perf_counter
    began = clock()
    prepared = extractor.prepare(frames)
    preparation = clock() - began
    rounds = max(a.frames // batch, 1)
    extractor([prepared[None]], batch)
    times = []
    for _ in range(a.repeats):
        began = clock()
        features = extractor((prepared[None] for _ in range(rounds)), rounds * batch)
        times.append(clock() - began)
    network = min(times)
    found = {"prepared": batch / preparation, "encoded": rounds * batch / network, "first": float(features[0, 0, 0])}
    found |= {"loading": loading, "before": before, "peak": peak()}
    return found | ({"gpu": torch.cuda.max_memory_allocated() / 2**20} if a.device == "cuda" else {})


def peak() -> float:
    """The largest memory of this process so far, MB (Linux)."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--one", nargs=3, metavar=("BATCH", "PRECISION", "WEIGHTS"), help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        print(json.dumps(measure(a, int(a.one[0]), a.one[1], a.one[2])))
        return
    print(f"{a.model}, {a.device}, {a.threads} threads, torch {torch.__version__}, {a.frames} frames")
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "random.safetensors")
        network = clip.load(OpenCLIPSection(model=a.model)).network
        print(f"{sum(value.numel() for value in network.visual.parameters()) / 1e6:.1f} M parameters")
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights)
        del network
        for precision in a.precisions:
            for batch in a.batches:
                command = [sys.executable, __file__, *sys.argv[1:], "--one", str(batch), precision, weights]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout.splitlines()[-1])
                numbers = ", ".join(f"{name} {value:,.1f}" for name, value in found.items())
                print(f"{precision}, batch {batch}: {numbers} (frames/s, MB)", flush=True)


if __name__ == "__main__":
    main()
