"""What a search costs: the index of a folder once, then seconds a sentence, and memory.

The model has the paper's sizes and untrained weights, which cost the same; the videos' features are random and kept as
`vidistill search` keeps them, so that nothing is decoded.

    PYTHONPATH=workflow python benchmarks/search.py --videos 1000 --seconds 10
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ground import SENTENCES, make_model

from vidistill.commands import trained
from vidistill.commands.kept import Kept
from vidistill.commands.one_video import Video
from vidistill.commands.search import Library

FPS, FRAMES = 25, 8  # frames per second, and in a vector


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10, help="of each video")
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder, model = Path(place, "videos"), Path(place, "model.safetensors")
        folder.mkdir()
        make_model(model, FPS, 256, "features", a.threads)
        features = trained.load(model).features
        width = trained.load(model).network.feature_dims[0]
        kept = Kept(folder, None, features)
        for number in range(a.videos):
            path = folder / f"{number}.mp4"
            path.write_text(str(number))
            rows = random.normal(size=(a.seconds * FPS // FRAMES, width)).astype(np.float32)
            kept.keep(path, Video(path.stem, float(a.seconds), {"rgb": rows}))
        for what in ("first", "next"):
            started = time.perf_counter()
            library = Library(folder, model, device="cpu", threads=a.threads)
            library.read()
            print(f"{what} start: {time.perf_counter() - started:.2f} s")
        times = []
        for sentence in SENTENCES:
            started = time.perf_counter()
            library.search([sentence])
            times.append(time.perf_counter() - started)
        print(f"a sentence: {np.median(times):.2f} s (at most {max(times):.2f}), with the moments of five videos")
        print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
