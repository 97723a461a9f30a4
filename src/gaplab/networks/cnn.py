"""A small convolutional network for images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gaplab.networks.activations import build_activation
from gaplab.networks.initialization import empty_linear, initialize
from gaplab.networks.normalization import build_norm


class CNN(nn.Module):
    """Convolutions, each followed by a norm (or none) and an activation; the mean over pixels; a linear layer.

    The first convolution keeps the size of the image, each further one halves it (rounded up), so that any size of
    image is taken, and the number of parameters does not depend on it.

    Args:
        in_channels: channels of an image.
        out_features: number of logits C.
        channels: channels after each convolution.
        kernel_size: pixels on each side of a kernel, odd; the border is padded with zeros.
        activation: a name of ``activations.ACTIVATIONS``.
        norm: a name of ``normalization.build_norm``.
        initialization: a name of ``initialization.INITIALIZATIONS``; the fan of a convolution counts its pixels.
        gain: factor on the initial weights.
        generator: the only source of randomness; norms start at scale 1 and shift 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        channels: Sequence[int],
        *,
        kernel_size: int = 3,
        activation: str = "relu",
        norm: str = "none",
        initialization: str = "default",
        gain: float = 1.0,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.hidden = nn.ModuleList()
        for number, width in enumerate(channels):
            convolution = nn.utils.skip_init(
                nn.Conv2d,
                in_channels,
                width,
                kernel_size,
                stride=1 if number == 0 else 2,
                padding=kernel_size // 2,
            )
            layers = [convolution, *build_norm(norm, width, images=True), build_activation(activation)]
            self.hidden.append(nn.Sequential(*layers))
            in_channels = width
        self.output = empty_linear(in_channels, out_features)
        initialize(self, initialization, gain=gain, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [P, C] of images [P, channels, height, width]."""
        x = images
        for layer in self.hidden:
            x = layer(x)
        logits: Tensor = self.output(x.mean(dim=(-2, -1)))
        return logits
