"""How long one training step takes, and its parts, beside the same model computing all 25 reconstructions as CPL does.

CPL reconstructs each sentence from 8 proposals, twice 8 negatives and the whole video, all with gradients. Here k* is
selected without gradients, then k*, its negatives and the whole video are reconstructed. Random features; the defaults
are the paper's sizes. On a GPU the settings `precision: bf16` and `compile` are measured too.

    PYTHONPATH=workflow python benchmarks/train_step.py --threads 2
"""

import argparse
import contextlib
import resource
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from vidistill.mmdist import losses, proposals
from vidistill.mmdist.batch import Batch
from vidistill.mmdist.network import Network, Sentence, encode
from vidistill.mmdist.objective import Objective
from vidistill.settings.mmdist import LossSettings, NetworkSettings

REFERENCE = "all 25 with gradients, fp32"
LOSS = LossSettings(local_learning=False)


def all_25(network: Network, batch: Batch) -> Tensor:
    """L_global with every proposal and every negative reconstructed with gradients."""
    s, encoded = network.settings, encode(network, batch.features, batch.tokens)
    masks = [encoded.masks]
    masks += proposals.negative_masks(encoded.center, encoded.width, s.positions, s.width_divisor, 0.5, 0.5)
    masks += [torch.ones_like(encoded.masks[:, :1])]
    logits = network.reconstruct(encoded.frames, encoded.sentence, batch.masked_words, torch.cat(masks, dim=1))
    errors = losses.reconstruction_error(logits, batch.tokens, LOSS.label_smoothing)
    positive, left, right = (errors[:, i * s.proposals : (i + 1) * s.proposals] for i in range(3))
    best = positive.argmin(1, keepdim=True)
    chosen, left, right = (x.gather(1, best).squeeze(1) for x in (positive, left, right))
    full = errors[:, -1]
    loss = losses.reconstruction_loss(chosen, full, LOSS.reconstruction)
    loss = loss + losses.ranking_loss(chosen, full, left, right, LOSS.margin_full, LOSS.margin_negative)
    return (loss + LOSS.diversity_weight * losses.diversity_loss(encoded.masks, LOSS.diversity_lambda)).mean()


def seconds(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The fastest of `repeats` runs after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        _synchronise(device)
        started = time.perf_counter()
        run()
        _synchronise(device)
        times.append(time.perf_counter() - started)
    return min(times)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    defaults = {"batch": 32, "features": 1024, "snippets": 200, "words": 10, "vocabulary": 1111, "dim": 256}
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    device = torch.device(a.device)
    torch.manual_seed(0)
    settings = NetworkSettings(kind="single", dim=a.dim, feed_forward=2 * a.dim)
    vectors = torch.randn(a.vocabulary + 1, 300)
    network = Network(settings, [a.features], vectors, learned_words=False, local=False).to(device).train()
    batch = Batch(
        features=[torch.randn(a.batch, a.snippets, a.features, device=device)],
        video_index=torch.arange(a.batch, device=device),
        tokens=torch.randint(1, a.vocabulary + 1, (a.batch, a.words), device=device),
        masked_words=(torch.arange(a.words, device=device) % 3 == 0).expand(a.batch, -1),
    )
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=1e-4)

    def autocast(on: bool) -> AbstractContextManager[None]:
        return torch.autocast(device.type, dtype=torch.bfloat16) if on else contextlib.nullcontext()

    def step(loss: Callable[[], Tensor], bf16: bool) -> None:
        with autocast(bf16):
            value = loss()
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        optimiser.step()

    def objective(selection_bf16: bool) -> Callable[[], Tensor]:
        made = Objective(network, LOSS, None, autocast(selection_bf16))
        return lambda: made(batch, 0.5)[0]

    ways: list[tuple[str, Callable[[], None]]] = [  # a CPU process tells only its highest peak so far: the least first
        ("k* first, precision: bf16", lambda: step(objective(True), True)),
        ("k* first, selection_precision: bf16", lambda: step(objective(True), False)),
        ("k* first, fp32", lambda: step(objective(False), False)),
        ("all 25 with gradients, bf16", lambda: step(lambda: all_25(network, batch), True)),
        (REFERENCE, lambda: step(lambda: all_25(network, batch), False)),
    ]
    print(f"{device}, {a.threads} threads, torch {torch.__version__}, {vars(a)}")
    measured = {name: (seconds(way, device, a.repeats), peak_memory(device)) for name, way in ways}
    parts(network, batch, device, a.repeats)
    if device.type == "cuda":
        for stack in (network.video_stack, network.text_stack):
            stack.compile(dynamic=True)
        for name, way in (ways[0], ways[2]):
            measured[f"{name}, compile: true"] = seconds(way, device, a.repeats), peak_memory(device)
    for name, (taken, peak) in measured.items():
        ratio = measured[REFERENCE][0] / taken
        print(f"{name:50}{taken:8.3f} s, {ratio:5.2f} times as fast, peak memory {peak:6.0f} MB")


def peak_memory(device: torch.device) -> float:
    """MB: of the device since the last call, or of the process since its start."""
    if device.type != "cuda":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    peak = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return peak


def parts(network: Network, batch: Batch, device: torch.device, repeats: int) -> None:
    """Where the time of a step goes, in fp32."""
    encoded = encode(network, batch.features, batch.tokens)
    frames, masks = encoded.frames.detach(), encoded.masks.detach()
    sentence = Sentence(*(x.detach() for x in encoded.sentence))

    def generate() -> None:
        found = encode(network, batch.features, batch.tokens)
        (found.center.sum() + found.width.sum()).backward()

    def select() -> None:
        network.eval()
        with torch.no_grad():
            network.reconstruct(frames, sentence, batch.masked_words, masks)
        network.train()

    def reconstruct() -> None:
        network.reconstruct(frames, sentence, batch.masked_words, masks[:, :4]).float().square().mean().backward()

    for name, part in (
        ("proposals, with gradients", generate),
        ("selection of k*", select),
        ("four reconstructions, with gradients", reconstruct),
    ):
        print(f"part of a step: {name:40}{seconds(part, device, repeats):9.3f} s")


if __name__ == "__main__":
    main()
