"""Several networks side by side whose opinions are averaged."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Committee(nn.Module):
    """A deep ensemble (Lakshminarayanan et al. 2017): networks that differ in their initial weights.

    In training every member has logits of its own, [P, M, C], so that each can have its own loss. In eval mode the
    members are one network: logits [P, C] whose softmax is the mean of the members' softmax, log(1/M sum_m p_m).
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, points: Tensor) -> Tensor:
        logits = torch.stack([member(points) for member in self.members], dim=-2)
        if self.training:
            return logits
        return logits.log_softmax(-1).logsumexp(-2) - math.log(len(self.members))
