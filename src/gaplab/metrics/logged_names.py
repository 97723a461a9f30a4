"""What the names of logged quantities say: to which split they belong, and in which direction worse lies."""

import re
from collections.abc import Collection, Iterable, Mapping

from gaplab.config.checks import nearest
from gaplab.errors import ConfigError
from gaplab.metrics.gap import generalization_gap

_SPLIT = "train|training|val|valid|validation|eval|dev|test"
_BEFORE, _AFTER = re.compile(rf"^(?:{_SPLIT})[/_.\- ]+", re.I), re.compile(rf"[/_.\- ]+(?:{_SPLIT})$", re.I)
_CHANGES_NOTHING = ("epoch", "step", "lr", "learning_rate")
_HIGHER = frozenset(
    (
        *("acc", "accuracy", "top1", "top5", "auc", "auroc", "auprc", "precision", "recall", "specificity"),
        *(
            "sensitivity",
            "f1",
            "fbeta",
            "dice",
            "iou",
            "miou",
            "jaccard",
            "map",
            "r2",
            "kappa",
            "mcc",
            "psnr",
        ),
        *("ssim", "bleu", "rouge", "ndcg", "mrr", "correlation", "likelihood", "elbo", "reward", "score"),
    )
)


def quantity_names(names: Iterable[str]) -> dict[str, str]:
    """Return the quantity behind each logged name, without its split, where no other name is left with it.

    >>> quantity_names(["val_loss", "val/top5/acc", "acc_val", "f1", "epoch"])
    {'val_loss': 'loss', 'val/top5/acc': 'top5/acc', 'acc_val': 'acc', 'f1': 'f1'}
    >>> quantity_names(["val_loss", "loss"])
    {'val_loss': 'val_loss', 'loss': 'loss'}
    """
    short = {
        name: _AFTER.sub("", _BEFORE.sub("", name)) or name for name in names if name not in _CHANGES_NOTHING
    }
    found = list(short.values())
    return {name: quantity if found.count(quantity) == 1 else name for name, quantity in short.items()}


def is_better_when_higher(quantity: str) -> bool:
    """Whether a quantity of that name is usually wanted to be large.

    >>> is_better_when_higher("top5/acc"), is_better_when_higher("MulticlassF1Score"), is_better_when_higher("loss")
    (True, True, False)
    """
    words = re.findall(r"[a-z]+[0-9]*|[0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", quantity).lower())
    return not _HIGHER.isdisjoint(words) and not {"loss", "error", "nll"} & set(words)


def gap_table(
    scores: Mapping[str, Mapping[str, float]], higher_is_better: Collection[str] = ()
) -> dict[str, float]:
    """Return ``<quantity>/<split>`` and ``gap/<quantity>``, which is positive where unseen data are worse.

    Args:
        scores: Values by split and quantity. The gap is that from ``train`` to ``test``, or to ``val`` where there is
            no test split.
        higher_is_better: Quantities that are wanted to be large.

    >>> gap_table({"train": {"loss": 0.25, "acc": 1.0}, "test": {"loss": 0.75, "acc": 0.5}}, {"acc"})["gap/acc"]
    0.5
    """
    table = {
        f"{quantity}/{split}": value for split, values in scores.items() for quantity, value in values.items()
    }
    unseen = scores.get("test", scores.get("val", {}))
    for quantity, value in scores.get("train", {}).items():
        if quantity in unseen:
            table[f"gap/{quantity.replace('/', '_')}"] = generalization_gap(
                value, unseen[quantity], higher_is_better=quantity in higher_is_better
            )
    return table


def monitored_tag(monitor: str | None, table: Iterable[str]) -> str:
    """Return the tag of what selects the best weights, with ``{split}`` in place of a split.

    Args:
        monitor: A tag with ``{split}``, which is taken if the table has it on val or train; or a name as the module
            logs it. Otherwise, and with None, the first loss is taken, or the first quantity if none is called so.
        table: Tags ``<quantity>/<split>``.

    Raises:
        ConfigError: If a name is not among the quantities; the nearest is given.

    >>> monitored_tag(None, ["acc/train", "loss/train", "gap/loss"])
    'loss/{split}'
    >>> monitored_tag("val_acc", ["acc/train", "loss/train", "gap/loss"])
    'acc/{split}'
    """
    found = [tag.rpartition("/")[0] for tag in table if tag.endswith("/train")]
    if monitor is not None and "{split}" in monitor:
        tags = set(table)
        if not found or any(monitor.format(split=split) in tags for split in ("val", "train", "test")):
            return monitor
    elif monitor is not None:
        for quantity in (monitor, *quantity_names([monitor]).values()):
            if quantity in found:
                return f"{quantity}/{{split}}"
        raise ConfigError(
            f"task.monitor: expected a value that validation_step logs, but got {monitor!r}."
            f"{nearest(monitor, found)} There are: {', '.join(found)}."
        )
    losses = [quantity for quantity in found if "loss" in quantity.lower()]
    return f"{(losses or found or ['loss'])[0]}/{{split}}"
