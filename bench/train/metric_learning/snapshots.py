"""The embeddings of some test images at three epochs of training, projected to the plane."""

from __future__ import annotations

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn
from torch.nn import functional as F

from bench.adapters.modes import eval_mode
from bench.data.labelled import LabelledImages
from bench.train.epochs import TrainingEpoch
from bench.train.gradient_descent import normalised
from bench.train.recipe import Recipe

#: How many test images are embedded, from the first on.
WATCHED = 300


class EmbeddingSnapshots:
    """Embeddings of the first test images after the first epoch, halfway and after the last."""

    def __init__(self, rules: Recipe, test: LabelledImages) -> None:
        few = test.first(WATCHED)
        self.x = normalised(few.images, rules)
        self.labels = few.labels
        self.by_epoch: dict[int, torch.Tensor] = {}

    def watch(self, epoch: TrainingEpoch, net: nn.Module) -> None:
        """Embed the images if an epoch is one of the three."""
        if epoch.number in (1, (epoch.of + 1) // 2, epoch.of):
            device = next(net.parameters()).device
            with eval_mode(net), torch.no_grad():
                self.by_epoch[epoch.number] = net(self.x.to(device)).cpu()

    def payload(self) -> bytes:
        """Return a safetensors file: half-precision points (N, 2) by epoch, and labels (N,)."""
        tensors = {
            f"epoch-{number}": in_the_plane(embeddings)
            for number, embeddings in self.by_epoch.items()
        }
        return save_tensors({**tensors, "labels": self.labels.contiguous()})


def in_the_plane(embeddings: torch.Tensor) -> torch.Tensor:
    """Return embeddings (N, D) as half-precision points (N, 2), neighbours by cosine kept near.

    t-SNE (van der Maaten and Hinton, 2008) from their two principal components.
    """
    from sklearn.manifold import TSNE

    unit = F.normalize(embeddings.float()).numpy()
    perplexity = min(30.0, (len(unit) - 1) / 3)
    points = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(unit)
    return torch.from_numpy(points).half().contiguous()


def read_embeddings(payload: bytes) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
    """Return the points (N, 2) by epoch, in order, and the labels (N,)."""
    tensors = load_tensors(payload)
    labels = tensors.pop("labels")
    points = {int(name.removeprefix("epoch-")): value.float() for name, value in tensors.items()}
    return dict(sorted(points.items())), labels
