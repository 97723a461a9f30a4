"""A table as LaTeX, for booktabs."""

from gaplab.reports.render import Table

SPECIAL = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "≤": r"$\leq$",
    "√": r"$\surd$",
}


def to_latex(table: Table) -> str:
    """Return a ``tabular`` with the first two columns to the left, numbers to the right; needs booktabs."""
    alignment = "".join("l" if place < 2 else "r" for place in range(len(table.columns)))
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in (table.columns, *table.rows)]
    return "\n".join(
        [
            f"\\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Return text in which no letter is a command of LaTeX."""
    return "".join(SPECIAL.get(letter, letter) for letter in str(text))
