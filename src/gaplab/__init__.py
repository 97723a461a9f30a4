"""gaplab: train classifiers and GANs on 2-D point sets and measure their generalization gap."""

__version__ = "0.1.0"
