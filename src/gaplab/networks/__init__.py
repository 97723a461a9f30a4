"""Architectures and their initial weights; they know nothing of training.

A network of a user's own need not stand here: any ``nn.Module`` can be registered. Start with ``mlp.py``.
"""

from gaplab.networks.activations import ACTIVATIONS, build_activation
from gaplab.networks.blocks import BLOCKS
from gaplab.networks.cnn import CNN
from gaplab.networks.dropout import Dropout, draw_dropout_masks
from gaplab.networks.initialization import INITIALIZATIONS, initialize
from gaplab.networks.mlp import MLP, num_parameters
from gaplab.networks.neurons import Perceptron, ThresholdLayer, build_gate

__all__ = [
    "ACTIVATIONS",
    "BLOCKS",
    "CNN",
    "INITIALIZATIONS",
    "MLP",
    "Dropout",
    "Perceptron",
    "ThresholdLayer",
    "build_activation",
    "build_gate",
    "draw_dropout_masks",
    "initialize",
    "num_parameters",
]
