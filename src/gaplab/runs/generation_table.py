"""The table that a GAN's run ends with."""

from rich.console import Console
from rich.table import Table

SPLITS = ("train", "val", "test")


def print_generation(scores: dict[str, float], title: str, console: Console) -> None:
    """Print each score beside its ceiling, scores of several splits in one row, and the gaps."""
    table = Table(title=title)
    for column in ("quantity", *SPLITS, "gap", "ceiling"):
        table.add_column(column, justify="left" if column == "quantity" else "right", no_wrap=True)
    for name in _quantities(scores):
        gap_name = f"gap/{name.replace('/', '_')}"
        splits = [scores.get(f"{name}_{split}") for split in SPLITS]
        if splits == [None] * 3:
            splits[2] = scores[name]
        gap = scores.get(gap_name)
        error = scores.get(f"{gap_name}_error")
        ceiling = scores.get(f"ceiling/{name}", scores.get(f"ceiling/{name}_test"))
        shown = "" if gap is None else f"{gap:+.4f}" + ("" if error is None else f" ± {error:.4f}")
        table.add_row(name, *(_number(value) for value in splits), shown, _number(ceiling))
    console.print(table)
    console.print("Ceiling: what a perfect sampler gets at this sample size.", highlight=False)


def _quantities(scores: dict[str, float]) -> list[str]:
    """Return the names of the rows: tags without their split, in order, without gaps and ceilings."""
    names = []
    for tag in scores:
        name, _, split = tag.rpartition("_")
        name = name if split in SPLITS else tag
        if not tag.startswith(("gap/", "ceiling/")) and name not in names:
            names.append(name)
    return names


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
