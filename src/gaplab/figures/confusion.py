"""The confusion matrix as a figure."""

from matplotlib.figure import Figure
from torch import Tensor

from gaplab.figures.rendering import new_figure


def draw_confusion_matrix(counts: Tensor, *, title: str = "") -> Figure:
    """Counts [C, C], true classes as rows, predicted ones as columns; the colour is the share of the row."""
    num_classes = len(counts)
    counts = counts.detach().cpu()
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    side = min(10.0, 2.8 + 0.6 * num_classes)
    figure = new_figure(side + 0.9, side)
    axes = figure.add_subplot()
    image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    for row in range(num_classes):
        for column in range(num_classes):
            axes.text(
                column,
                row,
                f"{int(counts[row, column])}\n{float(shares[row, column]):.1%}",
                ha="center",
                va="center",
                fontsize=9 if num_classes <= 5 else 6,
                color="white" if shares[row, column] > 0.5 else "black",
            )
    ticks = range(num_classes)
    axes.set(title=title, xlabel="predicted class", ylabel="true class", xticks=ticks, yticks=ticks)
    figure.colorbar(image, ax=axes, label="share of the true class")
    return figure
