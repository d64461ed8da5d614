"""TV-L1 backends in one run: pairs a second, by the clock and of processor time, and the distance from OpenCV.

On CPUs the ways alternate, repeat by repeat, so that a machine that does something else meanwhile slows all of them;
the table gives medians. On one such machine ratios of processor time are what to read.

What cannot run is left out: a machine with PyTorch and a GPU alone measures PyTorch, with its own operations and with
Triton's kernels, in batches of several sizes. Where there is no OpenCV, frames and OpenCV's flow of the first pairs
come from a file that a machine with OpenCV wrote. The video is made here: moving textures and noise.

    PYTHONPATH=workflow python benchmarks/tvl1.py --write-reference reference.npz --pairs 256
    PYTHONPATH=workflow python benchmarks/tvl1.py --reference reference.npz --batches 32 128 256
    PYTHONPATH=workflow python benchmarks/tvl1.py --cpu-pairs 8 --threads 1 2
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import by_torch
from vidistill.video.tvl1.parameters import Estimator

try:
    import cv2

    from vidistill.video.tvl1 import by_numba, by_opencv
except ImportError:
    cv2 = None  # type: ignore[assignment]

DEFAULTS = Tvl1()  # OpenCV's, and the configuration's
Way = tuple[str, Estimator, int]  # name, what computes, how many pairs to give it


def video(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """(count, H, W) uint8: a background that drifts by up to 2 pixels a frame and a disc that crosses it by up to 5."""
    rng = np.random.default_rng(seed)
    background, disc = (texture(2 * height, 2 * width, rng) for _ in range(2))
    y, x = np.mgrid[:height, :width].astype(np.float64)
    images = []
    for t in range(count):
        image = sample(background, x + 60 * np.sin(t / 30), y + 30 * np.cos(t / 25))
        centre = width * (0.5 + 0.35 * np.sin(t / 24)), height * (0.5 + 0.3 * np.sin(t / 17))
        inside = np.hypot(x - centre[0], y - centre[1]) < height / 5
        image = np.where(inside, sample(disc, x - centre[0], y - centre[1]), image)
        images.append((image + rng.normal(0, 1.5, image.shape)).clip(0, 255).round().astype(np.uint8))
    return np.stack(images)


def texture(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (H, W) with the spectrum of photographs, 20 to 235; it goes on at the other side."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / np.maximum(frequency, 1 / height) ** 1.2
    image = np.fft.irfft2(spectrum * np.exp(-((frequency / 0.25) ** 2)), (height, width))
    low, high = np.percentile(image, [1, 99])
    return ((image - low) / (high - low)).clip(0, 1) * 215 + 20


def sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear, an image (H, W) at places (h, w)."""
    height, width = image.shape
    left, above = np.floor(x).astype(int), np.floor(y).astype(int)
    a, b = x - left, y - above
    rows, columns = (above % height, (above + 1) % height), (left % width, (left + 1) % width)
    upper = image[rows[0], columns[0]] * (1 - a) + image[rows[0], columns[1]] * a
    lower = image[rows[1], columns[0]] * (1 - a) + image[rows[1], columns[1]] * a
    return upper * (1 - b) + lower * b


def cpu_ways(threads: list[int], pairs: int) -> Iterator[Way]:
    """What can run on a CPU here, the one that the others are compared with first."""
    if cv2 is not None and hasattr(cv2, "optflow"):
        for count in threads:
            yield f"opencv-cpu, {count} threads", by_opencv.cpu_estimator(DEFAULTS, count), pairs
    if cv2 is not None and not by_numba.lacking():
        for count in threads:
            yield f"numba, {count} threads", by_numba.estimator(DEFAULTS, count), pairs
    yield "torch, cpu", by_torch.estimator(DEFAULTS, 1, "cpu"), pairs


def gpu_ways(pairs: int, batches: list[int]) -> Iterator[Way]:
    if cv2 is not None and not by_opencv.cuda_lacking():
        yield "opencv-cuda", by_opencv.cuda_estimator(DEFAULTS, 1, "cuda:0"), pairs
    if by_torch.gpus():
        fastest = by_torch.fastest_solver(torch.device("cuda"))
        solvers = {"plain": by_torch.Plain} | ({"Triton": fastest} if fastest is not by_torch.Plain else {})
        for name, solver in solvers.items():
            for batch in batches:
                estimate = by_torch.estimator(DEFAULTS, 1, "cuda:0", batch=batch, solver=solver)
                yield f"torch, cuda, {name}, batches of {batch}", estimate, pairs


def timed(estimate: Estimator, frames: np.ndarray) -> tuple[float, float]:
    """Seconds by the clock and of processors; the flow is back on the host."""
    _synchronise()
    clock, processor = time.perf_counter(), time.process_time()
    estimate(frames)
    _synchronise()
    return time.perf_counter() - clock, time.process_time() - processor


def _synchronise() -> None:
    if by_torch.gpus():
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="341x256", help="width x height")
    parser.add_argument("--pairs", type=int, default=256, help="for GPUs")
    parser.add_argument("--cpu-pairs", type=int, default=4)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of CPUs")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reference", type=Path, help="frames and OpenCV's flow of the first pairs, to compare with")
    parser.add_argument("--write-reference", type=Path, help="write that file and do nothing else")
    parser.add_argument("--reference-pairs", type=int, default=8)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    if args.write_reference:
        if cv2 is None:
            parser.error("--write-reference needs OpenCV, which is not installed here; write the file where it is.")
        frames = video(args.pairs + 1, height, width)
        flow = by_opencv.cpu_estimator(DEFAULTS, args.threads[0])(frames[: args.reference_pairs + 1])
        np.savez_compressed(args.write_reference, frames=frames, flow=flow)
        return
    if args.reference:
        with np.load(args.reference) as file:
            frames, reference = file["frames"], file["flow"]
    else:
        frames, reference = video(max(args.pairs, args.cpu_pairs) + 1, height, width), None
    print(f"{frames.shape[2]} x {frames.shape[1]}, torch {torch.__version__}; end-point errors in px")
    print(f"{'':42}{'pairs/s':>9}{'per CPU s':>11}{'times':>8}{'mean':>9}{'95 %':>9}{'99 %':>9}")
    base: float | None = None
    for group in (cpu_ways(args.threads, args.cpu_pairs), gpu_ways(args.pairs, args.batches)):
        found, times = {}, {}
        ways = list(group)
        for name, estimate, pairs in ways:  # to warm up: kernels are compiled, memory is allocated
            found[name], times[name] = estimate(frames[: pairs + 1]), []
        for _ in range(args.repeats):
            for name, estimate, pairs in ways:
                times[name].append(timed(estimate, frames[: pairs + 1]))
        for name, _, _ in ways:
            reference = found[name] if reference is None else reference
            clock, processor = len(found[name]) / np.median(times[name], axis=0)
            base = base or processor
            both = min(len(found[name]), len(reference))
            distance = np.linalg.norm(found[name][:both] - reference[:both], axis=-1)
            errors = "".join(f"{x:9.4f}" for x in (distance.mean(), *np.percentile(distance, [95, 99])))
            print(f"{name:42}{clock:9.2f}{processor:11.2f}{processor / base:8.2f}{errors}", flush=True)
    if by_torch.gpus():
        print(f"peak memory of PyTorch on the GPU: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
