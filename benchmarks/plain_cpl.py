"""A plain implementation of CPL's computation: everything for every proposal, nothing shared or left out.

Each sentence is reconstructed from 8 proposals, both negatives of each, and the whole video, in training and in
evaluation. Parameters are named as in `vidistill.mmdist.network`, whose weights it takes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.mmdist.attention import word_positions
from vidistill.mmdist.batch import Batch
from vidistill.settings.mmdist import LossSettings, NetworkSettings


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, memory: Tensor, hidden: Tensor | None, gaussian: Tensor | None) -> Tensor:
        """x (N, T, d) attends to memory (N, S, d), but where `hidden` (N or 1, T or 1, S) is true."""
        n, t, d = x.shape
        q, k, v = (
            y.view(n, -1, self.heads, d // self.heads).transpose(1, 2).reshape(n * self.heads, -1, d // self.heads)
            for y in (self.query(x) / math.sqrt(d // self.heads), self.key(memory), self.value(memory))
        )
        logits = torch.bmm(q, k.transpose(1, 2)).view(n, self.heads, t, -1)
        if hidden is not None:
            logits = logits.masked_fill(hidden.unsqueeze(1), -math.inf)
        weights = logits.softmax(-1)
        if gaussian is not None:
            weights = weights * (gaussian + 1e-10)[:, None, None]
            weights = weights / weights.sum(-1, keepdim=True)
        y = torch.bmm(weights.view(n * self.heads, t, -1), v)
        return self.out(y.view(n, self.heads, t, -1).transpose(1, 2).reshape(n, t, d))


class Layer(nn.Module):
    def __init__(self, s: NetworkSettings):
        super().__init__()
        self.self_attention, self.cross_attention = Attention(s.dim, s.heads), Attention(s.dim, s.heads)
        self.wide, self.narrow = nn.Linear(s.dim, s.feed_forward), nn.Linear(s.feed_forward, s.dim)
        self.norms = nn.ModuleList(nn.LayerNorm(s.dim) for _ in range(3))
        self.dropout = nn.Dropout(s.dropout)


class Stack(nn.Module):
    def __init__(self, s: NetworkSettings):
        super().__init__()
        self.layers = nn.ModuleList(Layer(s) for _ in range(s.layers))

    def forward(
        self,
        x: Tensor,
        hidden: Tensor,
        gaussian: Tensor | None = None,
        memory: Tensor | None = None,
        memory_hidden: Tensor | None = None,
        memory_gaussian: Tensor | None = None,
    ) -> Tensor:
        for layer in self.layers:
            x = layer.norms[0](x + layer.dropout(layer.self_attention(x, x, hidden, gaussian)))
            if memory is not None:
                read = layer.cross_attention(x, memory, memory_hidden, memory_gaussian)
                x = layer.norms[1](x + layer.dropout(read))
            x = layer.norms[2](x + layer.dropout(layer.narrow(F.relu(layer.wide(x)))))
        return x


class PlainCPL(nn.Module):
    def __init__(self, settings: NetworkSettings, features: int, word_vectors: Tensor):
        super().__init__()
        self.settings = s = settings
        self.embedding = nn.Embedding.from_pretrained(word_vectors, padding_idx=0)
        self.frame_projection = nn.Linear(features, s.dim)
        self.word_projection = nn.Linear(word_vectors.shape[1], s.dim)
        self.start_token = nn.Parameter(torch.zeros(word_vectors.shape[1]))
        self.mask_token = nn.Parameter(torch.zeros(word_vectors.shape[1]))
        self.prediction_token = nn.Parameter(torch.zeros(features))
        self.video_stack, self.text_stack = Stack(s), Stack(s)
        self.dropout = nn.Dropout(s.dropout)
        self.proposal_head = nn.Linear(s.dim, 2 * s.proposals)
        self.word_head = nn.Linear(s.dim, len(word_vectors))

    def forward(self, batch: Batch, progress: float, loss: LossSettings, negatives: bool = True) -> tuple[Tensor, ...]:
        """Reconstruction errors (B, R) of proposals, left and right negatives, and whole video; masks (B, K, P)."""
        s, b = self.settings, len(batch.tokens)
        token = self.prediction_token.expand(b, 1, -1)
        frames = self.frame_projection(self.dropout(torch.cat([batch.features[0], token], dim=1)))
        valid = batch.tokens > 0
        started = F.pad(valid, (1, 0), value=True)
        start = self.start_token.expand(b, 1, -1)
        words = self.word_projection(self.dropout(torch.cat([start, self.embedding(batch.tokens)], dim=1)))
        places = word_positions(words.shape[1], s.dim).to(words.device)
        unread = ~started.unsqueeze(1)
        context = self.text_stack(words + places, later(started.shape[1], words.device) | unread)

        unseen = later(frames.shape[1], frames.device)
        unseen[..., -1] = True
        proposed = self.video_stack(frames, unseen, None, context, unread)[:, -1]
        center, width = self.proposal_head(proposed).view(b, s.proposals, 2).float().sigmoid().unbind(-1)

        index = torch.linspace(0, frames.shape[1] - 2, s.positions).long().to(frames.device)
        mask_word = self.word_projection(self.mask_token)
        given = torch.where(batch.masked_words.unsqueeze(-1), mask_word, words[:, 1:])
        given = torch.cat([words[:, :1], given[:, :-1]], dim=1) + places[:-1]
        unread = later(given.shape[1], words.device) | ~started[:, None, :-1]

        def errors(masks: Tensor) -> Tensor:
            """(B, R, P) -> (B, R)."""
            r = masks.shape[1]
            gaussian = masks.reshape(b * r, -1)
            snippets = frames[:, index].repeat_interleave(r, 0)
            video = self.video_stack(snippets, later(len(index), frames.device), gaussian)
            out = self.text_stack(
                given.repeat_interleave(r, 0), unread.repeat_interleave(r, 0), None, video, None, gaussian
            )
            logits = self.word_head(out).float().log_softmax(-1)
            targets = batch.tokens.repeat_interleave(r, 0)
            found = -logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
            found = (1 - loss.label_smoothing) * found - loss.label_smoothing * logits.mean(-1)
            counted = valid.repeat_interleave(r, 0)
            return ((found * counted).sum(-1) / counted.sum(-1)).view(b, r)

        positive = self.gaussian(center, width.clamp(min=0.01) / s.width_divisor)
        if not negatives:
            return errors(positive), positive
        room = progress**loss.negative_gamma / 2
        left, right = (edge.clamp(min=0) * room for edge in (center - width / 2, 1 - center - width / 2))
        before = self.gaussian(left, 2 * left.clamp(min=0.01) / s.width_divisor)
        after = self.gaussian(1 - right, 2 * right.clamp(min=0.01) / s.width_divisor)
        whole = torch.ones_like(positive[:, :1])
        return *(errors(masks) for masks in (positive, before, after, whole)), positive

    def gaussian(self, center: Tensor, std: Tensor) -> Tensor:
        """(B, K) -> (B, K, P)."""
        x = torch.linspace(0, 1, self.settings.positions, device=center.device)
        mask = torch.exp(-((x - center.unsqueeze(-1)) ** 2) / (2 * std.unsqueeze(-1) ** 2))
        return mask / mask.amax(-1, keepdim=True)

    def loss(self, batch: Batch, progress: float, s: LossSettings) -> Tensor:
        positive, left, right, whole, masks = self(batch, progress, s)
        best = positive.argmin(1, keepdim=True)
        chosen, left, right, whole = (x[:, 0] for x in (*(x.gather(1, best) for x in (positive, left, right)), whole))
        ranking = F.relu(chosen - whole + s.margin_full)
        ranking = ranking + F.relu(chosen - left + s.margin_negative) + F.relu(chosen - right + s.margin_negative)
        g = masks / masks.sum(-1, keepdim=True)
        same = torch.bmm(g, g.transpose(1, 2))
        diversity = (s.diversity_lambda * torch.eye(same.shape[1], device=same.device) - same).square().sum((1, 2))
        return ((chosen + whole) / 2 + s.ranking_weight * ranking + s.diversity_weight * diversity).mean()


def later(size: int, device: torch.device) -> Tensor:
    """(1, size, size), true above the diagonal."""
    return torch.ones(size, size, dtype=torch.bool, device=device).triu(1).unsqueeze(0)
