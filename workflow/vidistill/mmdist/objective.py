"""The loss of a batch for baseline, teacher and student."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from vidistill.mmdist import losses, proposals
from vidistill.mmdist.batch import Batch
from vidistill.mmdist.network import Encoded, Network, Sentence, encode, semantic_map, semantic_maps_all
from vidistill.settings.mmdist import DistillationSettings, LossSettings


class Objective:
    """The loss of a batch and its terms, for the model that the settings describe."""

    def __init__(
        self,
        network: Network,
        settings: LossSettings,
        distillation: DistillationSettings | None,
        selection_autocast: AbstractContextManager[None],
    ):
        self.network, self.loss, self.distillation = network, settings, distillation
        self.selection_autocast = selection_autocast

    def __call__(self, batch: Batch, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss (scalar) and the mean of each term; `progress` is epoch / epochs."""
        encoded = encode(self.network, batch.features, batch.tokens)
        terms: dict[str, Tensor] = {}
        targets = [self._select(batch, encoded)]
        injected = None
        if self.distillation is not None and self.distillation.global_level:
            target, injected = self._teacher_proposal(batch, encoded)
            terms["teacher_agreement"] = (targets[0] == target).float()
            targets.append(target)
        own, *distilled = self._global(batch, encoded, targets, injected, progress, terms)
        maps: list[Tensor] = []
        total = own
        if self.network.has_local_branch:
            maps, local = self._local(batch, encoded, terms)
            total = self._with_local(own, local, maps, terms)
        if self.distillation is not None:
            total = self._with_teacher(total, distilled, batch, maps, terms)
        means = {name: value.detach().mean() for name, value in terms.items()}
        return total.mean(), means

    def _select(self, batch: Batch, encoded: Encoded) -> Tensor:
        """k* = argmin_k r_k (B,), without gradients: only k*, its negatives and the whole video need them.

        The selection pass uses no dropout. That is the only difference from computing everything with gradients.
        """
        training = self.network.training
        self.network.eval()
        with torch.no_grad(), self.selection_autocast:
            frames, sentence = encoded.frames, encoded.sentence
            if not torch.is_autocast_enabled(frames.device.type):  # the encoding may have used bf16
                exact = self.network.word_head.weight.dtype
                frames = frames.to(exact)
                sentence = Sentence(*(part.to(exact) if part.is_floating_point() else part for part in sentence))
            logits = self.network.reconstruct(frames, sentence, batch.masked_words, encoded.masks)
            errors = losses.reconstruction_error(logits, batch.tokens, self.loss.label_smoothing)
        self.network.train(training)
        return errors.argmin(1)

    def _teacher_proposal(self, batch: Batch, encoded: Encoded) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """k^T of Eq. 10: the index (B,) of a proposal of the student, and the teacher's Gaussian if it replaces it."""
        assert self.distillation is not None
        assert batch.teacher_proposal is not None
        assert batch.teacher_index is not None
        if self.distillation.proposal == "index":
            return batch.teacher_index, None
        center, width = batch.teacher_proposal.unbind(-1)
        nearest = proposals.nearest_proposal(encoded.center, encoded.width, proposals.moments(center, width))
        return nearest, (center, width) if self.distillation.proposal == "inject" else None

    def _global(
        self,
        batch: Batch,
        encoded: Encoded,
        targets: list[Tensor],
        injected: tuple[Tensor, Tensor] | None,
        progress: float,
        terms: dict[str, Tensor],
    ) -> list[Tensor]:
        """L_global (B,) of each target proposal (B,); diversity counts once, terms are those of the first target."""
        loss, s = self.loss, self.network.settings
        masks = []
        for i, target in enumerate(targets):
            if i == 1 and injected is not None:
                center, width = injected
            else:
                center, width = (x.gather(1, target.unsqueeze(1)).squeeze(1) for x in (encoded.center, encoded.width))
            masks.append(proposals.positive_masks(center, width, s.positions, s.width_divisor))
            if loss.global_learning:
                masks += proposals.negative_masks(
                    center, width, s.positions, s.width_divisor, progress, loss.negative_gamma
                )
        if loss.global_learning:
            masks.append(torch.ones_like(masks[0]))
        logits = self.network.reconstruct(
            encoded.frames, encoded.sentence, batch.masked_words, torch.stack(masks, dim=1)
        )
        errors = losses.reconstruction_error(logits, batch.tokens, loss.label_smoothing).unbind(1)
        diversity = losses.diversity_loss(encoded.masks, loss.diversity_lambda)
        nothing = torch.zeros_like(diversity)
        terms["diversity"] = diversity
        if not loss.global_learning:  # error and diversity of proposals are kept, ranking is not
            terms["reconstruction"] = errors[0]
            return [error + loss.diversity_weight * (nothing if i else diversity) for i, error in enumerate(errors)]
        full = errors[-1]
        results = []
        for i in range(len(targets)):
            chosen, left, right = errors[3 * i : 3 * i + 3]
            form = "sum" if loss.global_terms == "paper" else loss.reconstruction
            reconstruction = losses.reconstruction_loss(chosen, full, form)
            ranking = losses.ranking_loss(chosen, full, left, right, loss.margin_full, loss.margin_negative)
            results.append(losses.global_loss(reconstruction, ranking, nothing if i else diversity, loss))
            if i == 0:
                terms |= {"reconstruction": reconstruction, "ranking": ranking}
                terms |= {"error_chosen": chosen, "error_full": full}
        return results

    def _local(self, batch: Batch, encoded: Encoded, terms: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """The semantic activation maps (B, L) and the local loss (streams, B) of each stream."""
        loss, q = self.loss, encoded.sentence.feature
        snippets = self.network.snippet_features(batch.features, encoded.frames)
        excluded = losses.same_pairs(batch.video_index, batch.tokens)
        similarities = [losses.similarity(semantic_maps_all(v, q), loss.top_share) for v in snippets]
        local = torch.stack([losses.local_loss(x, excluded, loss.temperature, loss.symmetric) for x in similarities])
        maps = [semantic_map(v, q) for v in snippets]
        terms["local"] = local.mean(0)
        terms["map_spread"] = torch.stack(maps).std(-1).mean(0)
        return maps, local

    def _with_local(self, own: Tensor, local: Tensor, maps: list[Tensor], terms: dict[str, Tensor]) -> Tensor:
        """The baseline's loss for one map, the teacher's for several; (B,)."""
        loss = self.loss
        if len(maps) == 1:
            return losses.baseline_loss(own, local[0], loss.local_weight)
        terms["mutual"] = losses.mutual_loss(maps, loss.agreement)
        return losses.teacher_loss(own, local, terms["mutual"], loss.local_weight, loss.mutual_weight)

    def _with_teacher(
        self, baseline: Tensor, distilled: list[Tensor], batch: Batch, maps: list[Tensor], terms: dict[str, Tensor]
    ) -> Tensor:
        """The student's loss (B,): the baseline's, and the distillation terms that the settings enable."""
        assert self.distillation is not None
        from_proposal = from_map = torch.zeros_like(baseline)
        if distilled:
            from_proposal = terms["distillation_global"] = distilled[0]
        if maps and self.distillation.local_level:
            assert batch.teacher_map is not None
            from_map = losses.map_difference(maps[0], batch.teacher_map, self.loss.agreement, batch.teacher_mask)
            terms["distillation_local"] = from_map
        added = losses.distillation_loss(from_proposal, from_map, self.loss.local_weight)
        return losses.student_loss(baseline, added, self.distillation.weight)
