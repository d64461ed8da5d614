"""How fast I3D is, in each arithmetic, beside plain fp32 in PyTorch's own layout without folding or compiling.

Random weights and clips: the numbers of a network that computes nothing useful. Videos a second follow from the frames.

    PYTHONPATH=workflow python benchmarks/i3d.py --threads 2
    PYTHONPATH=workflow python benchmarks/i3d.py --frames 64 --batch 8 --compile      # on a GPU
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidistill.features import i3d, random_weights


def seconds(run: Callable[[], Tensor], device: torch.device, repeats: int) -> tuple[float, Tensor]:
    """The fastest of `repeats` runs after one to warm up, and what it gave."""
    result = run()
    times = []
    for _ in range(repeats):
        _synchronise(device)
        started = time.perf_counter()
        result = run()
        _synchronise(device)
        times.append(time.perf_counter() - started)
    return min(times), result.float()


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def folded(network: nn.Module) -> nn.Module:
    network = copy.deepcopy(network)
    for unit in network.modules():
        if isinstance(unit, i3d.Unit3D):
            unit.fold()
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too; slow to start")
    for name, value in {"frames": 64, "size": 224, "batch": 1, "channels": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    device = torch.device(a.device)
    torch.manual_seed(0)
    plain = i3d.I3D(a.channels).requires_grad_(False)
    random_weights.initialise(plain, 0)
    plain.to(device)
    fast = folded(plain)
    clip = torch.rand(a.batch, a.channels, a.frames, a.size, a.size, device=device) * 2 - 1
    last = clip.contiguous(memory_format=torch.channels_last_3d)

    def run(network: Callable[[Tensor], Tensor], x: Tensor, bf16: bool) -> Callable[[], Tensor]:
        def compute() -> Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                return network(x)

        return compute

    ways = {
        "plain fp32": run(plain, clip, False),
        "fp32, folded, channels last (precision: fp32)": run(fast, last, False),
        "bf16, folded, channels last (precision: bf16)": run(fast, last, True),
    }
    if a.compile:
        ways["the same, compiled (compile: true)"] = run(torch.compile(fast), last, True)
    print(f"{device}, {a.threads} threads, torch {torch.__version__}, {vars(a)}")
    reference, expected = seconds(ways["plain fp32"], device, a.repeats)
    for name, way in ways.items():
        taken, features = (reference, expected) if name == "plain fp32" else seconds(way, device, a.repeats)
        error = ((features - expected).norm() / expected.norm()).item()
        print(
            f"{name:48}{a.batch * a.frames / taken:9.1f} frames/s, {reference / taken:5.2f} times as fast, "
            f"relative difference {error:.1e}"
        )
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
