"""Makes the user guide that the plugin opens: a page of HTML for each section of docs/user-guide.md.

    .ci/guide.py FOLDER

FOLDER gets SECTION.html (named as a forge names the heading), index.html, the style and the pictures.
Links between sections lead to the pages, those to other documents to the project's repository.
"""

from __future__ import annotations

import html
import posixpath
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "user-guide.md"
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
nav { columns: 3; border-bottom: 1px solid #8888; margin-bottom: 2rem; padding-bottom: 1rem; }
nav a { display: block; }
nav a[aria-current] { font-weight: bold; text-decoration: none; color: inherit; }
img { max-width: 100%; border: 1px solid #8888; }
pre { overflow-x: auto; background: #8882; padding: .6rem; }
code { font-family: monospace; background: #8882; }
pre code { background: none; }
table { border-collapse: collapse; } td, th { border: 1px solid #8888; padding: .2rem .5rem; }
""".strip()
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title} - Text2Earth for QGIS</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<nav>{contents}</nav>
<main>
{body}</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Section:
    """One page: its title, its name in addresses, its Markdown with the heading."""

    title: str
    slug: str
    text: str


def slug(title: str) -> str:
    """Return the anchor that a forge gives to a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def sections() -> list[Section]:
    """Split the guide: what is before the first ``##`` is the index."""
    first, *others = re.split(r"^(?=## )", SOURCE.read_text("utf-8"), flags=re.M)
    titled = [(text.split("\n", 1)[0].removeprefix("## "), text) for text in others]
    return [Section("User guide", "index", first), *(Section(t, slug(t), text) for t, text in titled)]


def repository() -> str:
    """Return the project's address as metadata.txt states it."""
    found = re.search(r"^repository=(.+)$", (ROOT / "metadata.txt").read_text("utf-8"), re.M)
    assert found
    return found[1]


def relink(token: Token, here: Section, pages: set[str], pictures: set[str]) -> None:
    """Let a link or picture lead to where it is for the reader of the page; note its picture."""
    for one in token.children or []:
        if one.type == "image":
            name = str(one.attrs["src"])
            pictures.add(name)
            one.attrs["src"] = posixpath.basename(name)
        elif one.type == "link_open":
            target = str(one.attrs["href"])
            if target.startswith("#"):
                page = target[1:]
                assert page in pages, f"{here.title}: no section {target}"
                one.attrs["href"] = f"{page}.html"
            elif not re.match(r"[a-z]+:", target):
                path = posixpath.normpath(posixpath.join("docs", target))
                one.attrs["href"] = f"{repository()}/blob/main/{path}"


def write(folder: Path) -> list[Path]:
    """Write all pages into ``folder`` and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = MarkdownIt("commonmark").enable("table")
    all_sections = sections()
    pages = {one.slug for one in all_sections}
    pictures: set[str] = set()
    written = []
    for section in all_sections:
        tokens = markdown.parse(section.text)
        for token in tokens:
            relink(token, section, pages, pictures)
        contents = "\n".join(
            f'<a href="{one.slug}.html"{" aria-current" if one is section else ""}>'
            f"{html.escape(one.title)}</a>"
            for one in all_sections
        )
        body = markdown.renderer.render(tokens, markdown.options, {})
        page = folder / f"{section.slug}.html"
        page.write_text(PAGE.format(title=html.escape(section.title), contents=contents, body=body), "utf-8")
        written.append(page)
    for name in pictures:
        shutil.copyfile(SOURCE.parent / name, folder / posixpath.basename(name))
    (folder / "style.css").write_text(STYLE + "\n", "utf-8")
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
