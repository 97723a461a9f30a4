"""What a discriminator or generator may see besides single points: several samples at once, or a label."""

import torch
from torch import Tensor


def pack_samples(points: Tensor, pack: int) -> Tensor:
    """Points [P, D] side by side in groups of ``pack``: [P / pack, pack·D].

    Source: PacGAN (Lin et al. 2018). Raises ValueError when ``pack`` does not divide the number of points.
    """
    if pack < 1:
        raise ValueError(f"pack must be at least 1, got {pack}")
    if len(points) % pack:
        raise ValueError(
            f"pack must divide the batch: {len(points)} points do not make groups of {pack}. "
            "Change the batch size or pack."
        )
    return points.reshape(len(points) // pack, -1)


def with_label_embedding(inputs: Tensor, labels: Tensor, embedding: Tensor) -> Tensor:
    """Inputs [P, F] beside the embedding of their labels: [P, F + E].

    ``embedding`` [C, E] has one row per class: trained weights, or the identity for one-hot labels. Rows are
    picked by a product with the one-hot labels, which ``torch.func.vmap`` batches over models; ``one_hot`` itself
    looks at the largest label, which ``vmap`` of ``grad`` refuses. A label that is no class has a row of zeros.
    """
    if labels.shape != inputs.shape[:1]:
        raise ValueError(
            f"labels must hold one class per input, shape [{len(inputs)}]; got {list(labels.shape)}"
        )
    classes = torch.arange(len(embedding), device=labels.device)
    chosen = (labels[:, None] == classes).to(embedding.dtype) @ embedding
    return torch.cat([inputs, chosen], dim=1)
