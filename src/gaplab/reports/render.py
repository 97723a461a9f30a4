"""A report as plain values, and the same as Markdown and as one self-contained HTML page."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gaplab.reports.captions import alternative, caption
from gaplab.storage.reading import read_regular


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
    """Name to PNG or SVG; the first ones stand above the tables."""
    verdict: str = ""
    """The answer in a few sentences."""
    num_leading: int = 0
    """How many pictures stand above the tables."""


def read_pictures(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return pictures of a folder by name, as vectors where it has them; links and pipes are left out."""
    found = {}
    for name in names:
        kinds = (read_regular(folder / f"{name}.{kind}") for kind in ("svg", "png"))
        content = next((content for content in kinds if content is not None), None)
        if content is not None:
            found[name] = content
    return found


STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 "DejaVu Sans", Verdana, sans-serif; max-width: 88rem; margin: 2rem auto; padding: 0 1rem; }
.verdict { font-size: 1.2rem; max-width: 45rem; }
nav { margin: 0 0 1.5rem; }
nav a { margin-right: 1.2rem; }
.wide { overflow-x: auto; margin: 0 0 1.5rem; }
table { border-collapse: collapse; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .8rem; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; overflow-wrap: break-word; max-width: 40rem; }
details { margin: 0 0 1rem; }
summary { cursor: pointer; font-weight: 600; }
figure { display: inline-block; margin: 0 1rem 1.5rem 0; vertical-align: top; max-width: 100%; }
figure img { max-width: 100%; height: auto; border-radius: 6px; background: #fff; }
figcaption { font-size: .9rem; max-width: 40rem; }
@media print {
  body { font-size: 9pt; max-width: none; margin: 0; }
  nav { display: none; }
  figure { margin-bottom: .5rem; }
  figure img { max-height: 10cm; width: auto; }
  figure, tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; display: block; }
  .wide { overflow: visible; }
}
"""


def to_markdown(report: Report, pictures: Path | None = None) -> str:
    """Return a report as Markdown; its pictures are links into the folder ``pictures``, if there is one."""
    parts = [f"# {report.title}"]
    if report.verdict:
        parts.append(report.verdict)
    links = [] if pictures is None else [f"![{caption(n)}]({pictures.name}/{n}.png)" for n in report.pictures]
    parts += links[: report.num_leading]
    for table in sorted(report.tables, key=lambda table: table.folded):
        parts.append("\n".join([f"## {table.title}", "", *markdown_table(table.columns, table.rows)]))
    return "\n\n".join(parts + links[report.num_leading :]) + "\n"


def markdown_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False
) -> list[str]:
    """Return the lines of a table; bars and line breaks inside cells are escaped.

    Args:
        columns: The names of the columns.
        rows: The cells.
        numbers: Whether all columns but the first stand to the right.
    """
    rule = ["---", *["---:" if numbers else "---"] * (len(columns) - 1)]
    return [_row(columns), _row(rule), *(_row(row) for row in rows)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def to_html(report: Report) -> str:
    """Return a report as one page that needs no other file."""
    figures = [_figure(name, content) for name, content in report.pictures.items()]
    tables = {f"table{place}": table for place, table in enumerate(report.tables)}
    body = [f"<h1>{html.escape(report.title)}</h1>"]
    if report.verdict:
        body.append(f'<p class="verdict">{html.escape(report.verdict)}</p>')
    body += [*figures[: report.num_leading], _contents(tables, len(figures) > report.num_leading)]
    body += [_table(key, table) for key, table in tables.items() if not table.folded]
    body += [
        '<section id="pictures">',
        *figures[report.num_leading :],
        "</section>",
        '<section id="details">',
    ]
    body += [
        f"<details><summary>{html.escape(table.title)}</summary>\n{_table(key, table)}\n</details>"
        for key, table in tables.items()
        if table.folded
    ]
    body.append("</section>")
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(report.title)}</title>",
        f"<style>{STYLE}</style>",
    ]
    lines = ["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", "<main>", *body]
    return "\n".join([*lines, "</main>", "</body>", "</html>", ""])


def _contents(tables: Mapping[str, Table], pictures: bool) -> str:
    places = [(key, table.title) for key, table in tables.items() if not table.folded]
    places += [("pictures", "Pictures")] if pictures else []
    places += [("details", "Details")] if any(table.folded for table in tables.values()) else []
    links = [f'<a href="#{key}">{html.escape(title)}</a>' for key, title in places]
    return f'<nav aria-label="Contents">{" ".join(links)}</nav>'


def _table(key: str, table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
    rows = []
    for first, *others in table.rows:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in others)
        rows.append(f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>')
    title = f"<caption>{html.escape(table.title)}</caption>"
    lines = "\n".join(rows)
    return f'<div class="wide" id="{key}"><table>\n{title}\n<tr>{head}</tr>\n{lines}\n</table></div>'


def _figure(name: str, content: bytes) -> str:
    data, seen = base64.b64encode(content).decode(), html.escape(alternative(name))
    kind = "png" if content.startswith(b"\x89PNG") else "svg+xml"
    image = f'<img alt="{seen}" src="data:image/{kind};base64,{data}">'
    return f"<figure>{image}<figcaption>{html.escape(caption(name))}</figcaption></figure>"
