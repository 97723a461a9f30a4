"""Dropout whose masks are data: drawn from a generator before the step, held in a buffer.

The usual ``nn.Dropout`` draws from the global stream inside ``forward``, so its masks change with everything else
that draws. Here they are a function of one generator alone, also under ``torch.func.vmap``, where each model of
an ensemble brings its own stacked masks (and may have its own rate).
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero a share ``rate`` of the features and divide the others by 1 − rate; identity in eval mode.

    The buffer ``mask`` [P, F] holds the factors 0 and 1/(1 − rate). It is not part of the state dict.
    """

    mask: Tensor

    def __init__(self, num_features: int, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"dropout rate must lie in [0, 1), but got {rate}.")
        self.rate = rate
        self.register_buffer("mask", torch.empty(0, num_features), persistent=False)

    def draw(self, num_points: int, generator: torch.Generator) -> None:
        """Draw the mask for a batch of ``num_points`` rows."""
        shape = (num_points, self.mask.shape[-1])
        kept = torch.rand(shape, generator=generator, device=generator.device) >= self.rate
        self.mask = kept.to(self.mask) / (1 - self.rate)

    def forward(self, x: Tensor) -> Tensor:
        """Activations [P, F] times the mask; P must be the number of rows drawn."""
        if not self.training:
            return x
        if x.shape[-2:] != self.mask.shape[-2:]:
            raise ValueError(
                f"The dropout mask has shape {tuple(self.mask.shape)}, but the batch has {tuple(x.shape)}. "
                "Call draw_dropout_masks(module, num_points, generator) before each training step."
            )
        return x * self.mask

    def extra_repr(self) -> str:
        return f"num_features={self.mask.shape[-1]}, rate={self.rate}"


def draw_dropout_masks(module: nn.Module, num_points: int, generator: torch.Generator) -> None:
    """Draw the masks of every ``Dropout`` inside ``module``, in the order of ``module.modules()``."""
    for layer in module.modules():
        if isinstance(layer, Dropout):
            layer.draw(num_points, generator)
