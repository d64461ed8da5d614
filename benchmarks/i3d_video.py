"""What I3D costs over a whole video: one process, the default settings, random weights and noise as frames.

Each number is one of the whole run, so that seams, reading and memory are in it; benchmarks/i3d.py has the network's.

    PYTHONPATH=workflow python benchmarks/i3d_video.py --frames 2000
"""

import argparse
import json
import resource
import time

import h5py
import numpy as np
import torch
import yaml
from stages import CONFIG

from vidistill.features import extract, networks, options


def megabytes() -> float:
    """The process's peak so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"frames": 2000, "height": 256, "width": 340, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--chunk", type=int, help="i3d.chunk, if not the configuration's")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    section = yaml.safe_load(CONFIG.read_text())["i3d"] | {"extractor": "i3d", "input": "frames", "device": a.device}
    section |= {"precision": a.precision, "threads": a.threads} | ({"chunk": a.chunk} if a.chunk else {})
    settings = options.read(json.dumps(section))
    torch.set_num_threads(a.threads)
    extractor = networks.build(settings, torch.device(a.device))
    noise = np.random.default_rng(0).integers(0, 255, (16, a.height, a.width, 3), np.uint8)
    shown: list[int] = []

    def images(start: int, stop: int) -> np.ndarray:
        shown.append(stop - start)
        return noise[np.arange(start, stop) % len(noise)]

    before = megabytes()
    with h5py.File("video.h5", "w", driver="core", backing_store=False) as file:
        video, group = file.create_group("video"), file.create_group("features")
        video["times"] = np.arange(a.frames) / 25
        video.attrs.update({"video_id": "v", "fps": 25.0})
        wall, cpu = time.perf_counter(), time.process_time()
        extract.write_features(group, video, images, extractor, settings)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        digest = float(np.abs(group["features"][:]).mean())
    print(f"{a.device}, torch {torch.__version__}, {vars(a)}, chunk {settings.chunk}")
    print(f"{1000 * cpu / a.frames:.1f} ms of CPU per frame, {a.frames / wall:.1f} frames/s by the clock")
    print(f"peak memory {megabytes():.0f} MB, {before:.0f} MB before the video")
    print(f"{sum(shown) / a.frames:.3f} times the frames were read; mean feature {digest:.6f}")


if __name__ == "__main__":
    main()
