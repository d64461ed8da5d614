"""The network of baseline and student: proposals, reconstruction and the local branch."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.mmdist import proposals
from vidistill.mmdist.attention import Rows, Stack, causal_bias, padding_bias, rows_of, word_positions
from vidistill.settings.mmdist import NetworkSettings
from vidistill.training.dropout import Dropout

NEGLIGIBLE = 1e-9  # weight of a position under a mask whose maximum is 1; single precision keeps no such share


class Sentence(NamedTuple):
    """A batch of sentences, projected: `words` (B, W+1, d) starts with the start token; `valid` (B, W) marks words."""

    words: Tensor
    valid: Tensor
    context: Tensor  # (B, W+1, d): the text stack's output on the unmasked sentence, without the video
    feature: Tensor  # (B, d): q of Eq. 4


class LocalBranch(nn.Module):
    """Two convolutions over the snippets, before the comparison with the sentence (Eq. 4)."""

    def __init__(self, dim: int):
        super().__init__()
        self.first = nn.Conv1d(dim, dim, kernel_size=3, padding=1)
        self.second = nn.Conv1d(dim, dim, kernel_size=3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, L, d) -> (B, L, d)."""
        return self.second(F.relu(self.first(frames.transpose(1, 2)))).transpose(1, 2)


class Network(nn.Module):
    """CPL's network with MMDist's local branch.

    Args:
        feature_dims: width of each stream; the streams are concatenated.
        word_vectors: (V+1, E), row 0 the padding.
        learned_words: train the word vectors, too.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        feature_dims: list[int],
        word_vectors: Tensor,
        *,
        learned_words: bool,
        local: bool,
    ):
        super().__init__()
        s, embedding = settings, word_vectors.shape[1]
        self.settings, self.feature_dims = s, list(feature_dims)
        self.embedding = nn.Embedding.from_pretrained(word_vectors.clone(), freeze=not learned_words, padding_idx=0)
        self.frame_projection = nn.Linear(sum(feature_dims), s.dim)
        self.word_projection = nn.Linear(embedding, s.dim)
        self.start_token = nn.Parameter(torch.zeros(embedding))
        self.mask_token = nn.Parameter(torch.zeros(embedding))
        self.prediction_token = nn.Parameter(torch.zeros(sum(feature_dims)))
        self.video_stack = Stack(s.dim, s.heads, s.feed_forward, s.layers, s.dropout)
        self.text_stack = Stack(s.dim, s.heads, s.feed_forward, s.layers, s.dropout)
        self.dropout = Dropout(s.dropout)
        self.proposal_head = nn.Linear(s.dim, 2 * s.proposals)
        self.word_head = nn.Linear(s.dim, len(word_vectors))
        if local:
            self.add_local_branch()

    def add_local_branch(self) -> None:
        self.sentence_projection = nn.Linear(self.settings.dim, self.settings.dim)
        self.local_branches = nn.ModuleList([LocalBranch(self.settings.dim)])

    @property
    def has_local_branch(self) -> bool:
        return hasattr(self, "local_branches")

    def project_frames(self, features: list[Tensor]) -> Tensor:
        """Streams of (B, L, F) -> (B, L+1, d), the prediction token last."""
        raw = torch.cat(features, dim=-1)
        # len() would fix the batch size of an exported network; a view would stop PyTorch's counter of operations.
        token = self.prediction_token + raw.new_zeros(raw.shape[0], 1, 1)
        # Apart, so that no gradient of the features is computed.
        return torch.cat([self.frame_projection(self.dropout(x)) for x in (raw, token)], dim=1)

    def encode_sentence(self, tokens: Tensor) -> Sentence:
        """Token ids (B, W), 0 for padding -> the projected sentence and its encodings without the video."""
        valid = tokens > 0
        start = self.start_token.expand(tokens.shape[0], 1, -1)
        words = self.word_projection(self.dropout(torch.cat([start, self.embedding(tokens)], dim=1)))
        rows = Rows(*words.shape[:2])
        bias = causal_bias(rows.length, words.device)  # hides the padding, which is at the end, from the words, too
        context = rows.unpack(self.text_stack(words + self._positions(words), rows, bias))
        mean = (context[:, 1:] * valid.unsqueeze(-1)).sum(1) / valid.sum(1, keepdim=True).clamp(min=1)
        feature = self.sentence_projection(mean) if self.has_local_branch else mean
        return Sentence(words, valid, context, feature)

    def propose(self, frames: Tensor, sentence: Sentence) -> tuple[Tensor, Tensor]:
        """Projected frames (B, L+1, d) and sentences -> centres and widths (B, K) of the proposals."""
        rows = Rows(*frames.shape[:2])
        bias = self._video_bias(rows.length, frames.device).clone()
        bias[..., -1] = -torch.inf  # nothing attends to the prediction token, not even itself
        started = padding_bias(F.pad(sentence.valid, (1, 0), value=True))
        hidden = self.video_stack(frames, rows, bias, sentence.context, started, last_only=True)
        center, width = self.proposal_head(hidden).view(rows.sequences, -1, 2).float().sigmoid().unbind(-1)
        return center, width

    def reconstruct(self, frames: Tensor, sentence: Sentence, masked_words: Tensor, masks: Tensor) -> Tensor:
        """Predict each word from the words before it and the video under each mask.

        Args:
            frames: projected, (B, L+1, d).
            masked_words: (B, W) bool, words replaced by the mask token.
            masks: (B, R, P) weights of R masks over the P reconstruction positions; all ones for the whole video.

        Returns:
            Logits (B, R, W, V+1); those of padding have no meaning.
        """
        b, r, p = masks.shape
        snippets = frames[:, self.reconstruction_index(frames.shape[1] - 1, frames.device)]  # (B, P, d)
        # Multiplying softmaxed attention by (g + 1e-10) and renormalising equals adding its logarithm to the logits.
        mask_bias = (masks.reshape(b * r, 1, p) + 1e-10).log()
        seen = rows_of(masks.reshape(b * r, p) > NEGLIGIBLE)
        video = self.video_stack(snippets, seen, self._video_bias(p, frames.device) + mask_bias)

        mask_word = self.word_projection(self.mask_token)
        words = torch.where(masked_words.unsqueeze(-1), mask_word, sentence.words[:, 1:])
        words = torch.cat([sentence.words[:, :1], words[:, :-1]], dim=1)
        read = rows_of(sentence.valid.repeat_interleave(r, 0))
        bias = causal_bias(read.length, words.device)
        out = self.text_stack(words + self._positions(words), read, bias, seen.unpack(video), mask_bias)
        return read.unpack(self.word_head(out)).view(b, r, read.length, -1)

    def snippet_features(self, features: list[Tensor], frames: Tensor) -> list[Tensor]:
        """V^ for each map, (B, L, d): here one map, from the projected frames (B, L+1, d)."""
        return [self.local_branches[0](frames[:, :-1])]

    def reconstruction_index(self, snippets: int, device: torch.device) -> Tensor:
        """The snippets that reconstruction sees: linspace(0, L-1, P), truncated."""
        return torch.linspace(0, snippets - 1, self.settings.positions, device=device).long()

    def _positions(self, words: Tensor) -> Tensor:
        return word_positions(words.shape[1], self.settings.dim).to(words.device)

    def _video_bias(self, size: int, device: torch.device) -> Tensor:
        return causal_bias(size, device) if self.settings.causal_frames else torch.zeros(1, size, size, device=device)


def semantic_map(snippets: Tensor, sentence: Tensor) -> Tensor:
    """Eq. 4: m_l = cos(V^_l, q); snippets (B, L, d), sentence (B, d) -> (B, L)."""
    return F.cosine_similarity(snippets, sentence.unsqueeze(1), dim=-1, eps=1e-6)


def semantic_maps_all(snippets: Tensor, sentences: Tensor) -> Tensor:
    """`semantic_map` of every video i with every sentence j: (B, L, d), (B', d) -> (B, B', L)."""
    snippets = snippets / snippets.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    sentences = sentences / sentences.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return torch.einsum("ild,jd->ijl", snippets, sentences)


class Encoded(NamedTuple):
    frames: Tensor  # (B, L+1, d)
    sentence: Sentence
    center: Tensor  # (B, K)
    width: Tensor
    masks: Tensor  # (B, K, P)


def encode(network: Network, features: list[Tensor], tokens: Tensor) -> Encoded:
    """Project frames and sentences, and propose moments with their masks."""
    s = network.settings
    frames = network.project_frames(features)
    sentence = network.encode_sentence(tokens)
    center, width = network.propose(frames, sentence)
    masks = proposals.positive_masks(center, width, s.positions, s.width_divisor)
    return Encoded(frames, sentence, center, width, masks)
