"""How long a training step and an evaluation batch take, beside a plain implementation of CPL's computation.

CPL reconstructs each sentence from 8 proposals, twice 8 negatives and the whole video, all with gradients, and in
evaluation too: see `plain_cpl.py`. Here k* is selected without gradients, then k*, its negatives and the whole video
are reconstructed; evaluation needs the 8 proposals alone. Random features; the defaults are the paper's sizes. The ways
alternate; times are medians. On a GPU `compile: true` is measured too.

    PYTHONPATH=workflow python benchmarks/train_step.py --threads 1
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from plain_cpl import PlainCPL
from torch import Tensor

from vidistill.mmdist import losses, predict
from vidistill.mmdist.batch import Batch
from vidistill.mmdist.network import Network, Sentence, encode
from vidistill.mmdist.objective import Objective
from vidistill.settings.mmdist import LossSettings, NetworkSettings
from vidistill.settings.train import OptimisationSettings
from vidistill.training import optimiser

LOSS = LossSettings(local_learning=False)
GAMMA = 3.0
Ways = dict[str, Callable[[], object]]


def measure(ways: Ways, device: torch.device, repeats: int) -> None:
    """Print what each way takes beside the last, by the clock and in processor time, and the peak memory."""
    # A CPU process tells only its highest peak so far: the least comes first.
    peaks = [peak_memory(way, device) for way in ways.values()]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            taken[name].append(seconds(way, device))
    medians = {name: tuple(map(statistics.median, zip(*values, strict=True))) for name, values in taken.items()}
    for (name, found), peak in zip(medians.items(), peaks, strict=True):
        wall, cpu = (last / own for last, own in zip([*medians.values()][-1], found, strict=True))
        print(
            f"{name:50}{found[0]:8.3f} s, {wall:5.2f} times as fast; processor {found[1]:8.3f} s, {cpu:5.2f} times;"
            f" peak memory {peak:6.0f} MB"
        )


def seconds(run: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """By the clock, and of the processor."""
    started = time.perf_counter(), time.process_time()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started[0], time.process_time() - started[1]


def peak_memory(run: Callable[[], object], device: torch.device) -> float:
    """MB, of a second run: of the device, or of the process since its start."""
    run()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    run()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shortest", type=int, help="words of the shortest sentence; those of all by default")
    parser.add_argument("--width", type=float, default=0.5, help="of the proposals; 0.5 is that of a new network")
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
    network.proposal_head.bias.data[1::2] = torch.tensor(a.width).logit()
    plain = PlainCPL(settings, a.features, vectors).to(device).train()
    plain.load_state_dict(network.state_dict())
    tokens = torch.randint(1, a.vocabulary + 1, (a.batch, a.words))
    tokens[torch.arange(a.words) >= torch.randint(a.shortest or a.words, a.words + 1, (a.batch, 1))] = 0
    batch = Batch(
        features=[torch.randn(a.batch, a.snippets, a.features, device=device)],
        video_index=torch.arange(a.batch, device=device),
        tokens=tokens.to(device),
        masked_words=(torch.arange(a.words, device=device) % 3 == 0).expand(a.batch, -1),
    )

    def autocast(on: bool) -> AbstractContextManager[None]:
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=on)

    def step(of: torch.nn.Module, loss: Callable[[], Tensor], bf16: bool) -> Callable[[], None]:
        parameters = [p for p in of.parameters() if p.requires_grad]
        adam = optimiser.build(of, OptimisationSettings())

        def run() -> None:
            with autocast(bf16):
                value = loss()
            adam.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 10.0)
            adam.step()

        return run

    def ours(selection_bf16: bool, bf16: bool) -> Callable[[], None]:
        made = Objective(network, LOSS, None, autocast(selection_bf16))
        return step(network, lambda: made(batch, 0.5)[0], bf16)

    def evaluation(of: torch.nn.Module, answer: Callable[[], object]) -> Callable[[], None]:
        @torch.no_grad()
        def run() -> None:
            of.eval()
            answer()
            of.train()

        return run

    print(f"{device}, {a.threads} threads, torch {torch.__version__}, {vars(a)}")
    steps: Ways = {
        "step, precision: bf16": ours(True, True),
        "step, selection_precision: bf16": ours(True, False),
        "step, fp32": ours(False, False),
        "step, plain CPL, bf16": step(plain, lambda: plain.loss(batch, 0.5, LOSS), True),
        "step, plain CPL, fp32": step(plain, lambda: plain.loss(batch, 0.5, LOSS), False),
    }
    if device.type == "cuda":
        compiled = Network(settings, [a.features], vectors, learned_words=False, local=False).to(device).train()
        for stack in (compiled.video_stack, compiled.text_stack):
            stack.compile(dynamic=True)
        for bf16 in (True, False):
            made = Objective(compiled, LOSS, None, autocast(bf16))
            name = f"step, compile: true, {'bf16' if bf16 else 'fp32'}"
            steps = {name: step(compiled, lambda made=made: made(batch, 0.5)[0], bf16), **steps}
    measure(steps, device, a.repeats)
    asked = batch._replace(masked_words=batch.masked_words.unsqueeze(1))
    measure(
        {
            "evaluation batch": evaluation(network, lambda: predict.infer(network, asked, LOSS, GAMMA)),
            "evaluation, plain CPL, the proposals alone": evaluation(plain, lambda: plain(batch, 0.5, LOSS, False)),
            "evaluation, plain CPL": evaluation(plain, lambda: plain(batch, 0.5, LOSS)),
        },
        device,
        a.repeats,
    )
    parts(network, batch, device, a.repeats)


def parts(network: Network, batch: Batch, device: torch.device, repeats: int) -> None:
    """Where the time of a step goes, in fp32."""
    encoded = encode(network, batch.features, batch.tokens)
    frames, masks = encoded.frames.detach(), encoded.masks.detach()
    sentence = Sentence(*(x.detach() for x in encoded.sentence))

    def generate() -> None:
        found = encode(network, batch.features, batch.tokens)
        (found.center.sum() + found.width.sum()).backward()

    def reconstruct(count: int) -> Tensor:
        logits = network.reconstruct(frames, sentence, batch.masked_words, masks[:, :count])
        return losses.reconstruction_error(logits, batch.tokens, LOSS.label_smoothing).mean()

    def select() -> None:
        network.eval()
        with torch.no_grad():
            reconstruct(network.settings.proposals)
        network.train()

    ways: Ways = {
        "part of a step: proposals, with gradients": generate,
        "part of a step: selection of k*": select,
        "part of a step: four reconstructions": lambda: reconstruct(4).backward(),
    }
    for name, way in ways.items():
        cpu = statistics.median(seconds(way, device)[1] for _ in range(repeats))
        print(f"{name:50}processor {cpu:8.3f} s")


if __name__ == "__main__":
    main()
