"""A report as plain values, and the same as Markdown and as one self-contained HTML page."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Table:
    """A heading, the names of the columns, and rows of texts."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = False
    """Whether a page shows it on request only."""


@dataclass(slots=True)
class Report:
    """What a run or a sweep has to say."""

    title: str
    tables: list[Table] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    """Caption to PNG."""


STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0 0 1.5rem; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .8rem; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: 0 1rem 1.5rem 0; vertical-align: top; max-width: 100%; }
figure img { max-width: 100%; border-radius: 6px; }
"""


def to_markdown(report: Report, pictures: Path | None = None) -> str:
    """Return a report as Markdown; its pictures are links into the folder ``pictures``, if there is one."""
    parts = [f"# {report.title}"]
    for table in report.tables:
        lines = [f"## {table.title}", "", _row(table.columns), _row(["---"] * len(table.columns))]
        parts.append("\n".join(lines + [_row(row) for row in table.rows]))
    if pictures is not None:
        parts += [f"![{caption}]({pictures.name}/{caption}.png)" for caption in report.pictures]
    return "\n\n".join(parts) + "\n"


def to_html(report: Report) -> str:
    """Return a report as one page that needs no other file."""
    body = [f"<h1>{html.escape(report.title)}</h1>"]
    for table in report.tables:
        head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in table.rows]
        lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
        body.append(f"<h2>{html.escape(table.title)}</h2>\n<table>\n<tr>{head}</tr>\n{lines}\n</table>")
    for caption, png in report.pictures.items():
        name = html.escape(caption.replace("_", " "))
        data = base64.b64encode(png).decode()
        body.append(f'<figure><img alt="{name}" src="data:image/png;base64,{data}"></figure>')
    title = html.escape(report.title)
    head = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">\n{head}\n' + "\n".join(body) + "\n</html>\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
