"""The loss of a batch: of the student with its teachers, or of SeqPAN alone."""

from torch import Tensor, nn

from vidistill.emtm import labels, losses, map2d
from vidistill.emtm.batch import Batch
from vidistill.emtm.kau import Aggregation, mixture
from vidistill.emtm.layers import initialise
from vidistill.emtm.map2d import Map2D
from vidistill.emtm.span import Branch, Encoded, SpanNetwork, Spans
from vidistill.settings.emtm import TrainSettings


class Objective(nn.Module):
    """A network and what only its training has: the isomorphic teacher and the Knowledge Aggregation Unit."""

    def __init__(self, network: SpanNetwork, settings: TrainSettings):
        super().__init__()
        self.network, self.settings = network, settings
        own, d = settings.student, settings.distillation
        self.isomorphic: Branch | None = None
        self.aggregation: Aggregation | None = None
        if settings.network == "student" and d.isomorphic:
            self.isomorphic = Branch(own, settings.snippets, dual=True)
            initialise(self.isomorphic)
        if settings.teachers and settings.aggregation == "kau":
            by_batch = d.aggregation_norm == "batch"
            self.aggregation = Aggregation(own.dim, settings.snippets, len(settings.teachers), by_batch)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss (scalar) and its terms."""
        encoded = self.network.shared(batch)
        spans = self.network.branch(encoded)
        target = _Hard(batch)
        terms = target.terms(spans, self.network.branch)
        if self.isomorphic is not None:
            named = target.terms(self.isomorphic(encoded), self.isomorphic)
            terms |= {f"isomorphic_{name}": value for name, value in named.items()}
        if batch.teachers is not None:
            terms |= self._distilled(batch.teachers, encoded, spans, target)
        return losses.total(terms, self.settings.loss), {name: value.detach() for name, value in terms.items()}

    def hard(self, batch: Batch) -> Tensor:
        """The network's own hard losses."""
        return losses.total(_Hard(batch).terms(self.network(batch), self.network.branch), self.settings.loss)

    def _distilled(self, teachers: Tensor, encoded: Encoded, spans: Spans, target: "_Hard") -> dict[str, Tensor]:
        """The terms that label teachers add; their distributions are (B, n, 2, T)."""
        d, terms = self.settings.distillation, {}
        if self.aggregation is None:
            mixed = teachers.mean(1)
        else:
            shared = self.isomorphic is not None
            video, words = (encoded.video, encoded.words) if shared else (spans.fused, None)
            mixed = mixture(self.aggregation(video, encoded.snippets, words, encoded.known), teachers)
            if d.aggregation_loss == "mixture":
                terms["aggregation"] = losses.aggregation_loss(mixed, target.boundaries)
            else:
                terms["aggregation"] = losses.released_aggregation_loss(mixed, target.boundaries, target.valid)
        theirs = mixed.detach() if d.detach else mixed
        if d.kd == "kl":
            kd = losses.distillation_loss(spans.boundaries, theirs, d.temperature)
        else:
            kd = losses.released_distillation_loss(spans.boundaries, theirs, d.temperature, target.valid)
        terms["distillation"] = kd * d.temperature**2 if d.squared_temperature else kd
        return terms


class MapObjective(nn.Module):
    """The loss of the network map2d."""

    def __init__(self, network: Map2D):
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss (scalar) and its terms: none, since it is one."""
        return self.hard(batch), {}

    def hard(self, batch: Batch) -> Tensor:
        """The loss, which knows no other labels than hard ones."""
        assert batch.moments is not None
        cells, settings = self.network.cells, self.network.settings
        scores = self.network(batch.features, batch.tokens)[:, *cells.T]
        return map2d.loss(scores, map2d.labels(batch.moments, cells, settings))


class _Hard:
    """Hard labels of a batch."""

    def __init__(self, batch: Batch):
        assert batch.moments is not None
        self.valid = batch.snippets
        lengths, size = batch.snippets.sum(1), batch.snippets.shape[1]
        cells = labels.cells(batch.moments, lengths)
        self.boundaries = labels.boundaries(cells, lengths, size)
        self.classes = labels.classes(cells, size)

    def terms(self, spans: Spans, branch: Branch) -> dict[str, Tensor]:
        matching = losses.matching_loss(spans.classes, self.classes, self.valid)
        return {
            "location": losses.location_loss(spans.boundaries, self.boundaries),
            "matching": matching + losses.overlap_of_labels(branch.labels),
        }
