"""The site's first page is README.md, which names files as they are seen from the root of the repository."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page; called by MkDocs. A link to a source file becomes the name of the file."""
    if page.file.src_uri == "index.md":
        return (ROOT / "README.md").read_text().replace("](docs/", "](")
    return re.sub(r"\[([^]]+)\]\((?:\.\./)+(src/[^)]+)\)", r"\1: `\2`", markdown)
