"""The multi-modal teacher: proposals and reconstruction from all streams, a semantic activation map from each."""

from torch import Tensor, nn

from vidistill.mmdist.network import LocalBranch, Network


class Teacher(Network):
    """Generator and reconstructor see the concatenated streams; each stream has its own map (Eq. 13-14)."""

    def add_local_branch(self) -> None:
        dim = self.settings.dim
        self.sentence_projection = nn.Linear(dim, dim)
        self.stream_projections = nn.ModuleList(nn.Linear(f, dim) for f in self.feature_dims)
        self.local_branches = nn.ModuleList(LocalBranch(dim) for _ in self.feature_dims)

    def snippet_features(self, features: list[Tensor], frames: Tensor) -> list[Tensor]:
        """V^ of each stream, (B, L, d), from the streams of (B, L, F) themselves."""
        return [
            branch(projection(self.dropout(stream)))
            for branch, projection, stream in zip(self.local_branches, self.stream_projections, features, strict=True)
        ]
