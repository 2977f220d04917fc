"""Keeps the translations of the plugin in step with its code, and compiles them for its package.

    .ci/translations.py            bring resources/i18n/LANGUAGE/LC_MESSAGES/text2earth.po up to date
    .ci/translations.py FOLDER     write what gettext reads, FOLDER/LANGUAGE/LC_MESSAGES/text2earth.mo

The file of a language has the texts of the code in their order, keeps what is translated, drops what the code
no longer says.
"""

from __future__ import annotations

import sys
from datetime import datetime
from io import SEEK_END, BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "text2earth_qgis"
CATALOGUES = ROOT / "resources" / "i18n"
NAME = Path("LC_MESSAGES", "text2earth.po")
KEYWORDS = {"tr": None, "trn": (1, 2)}
FORMAT = ["python-brace-format"]
DATED = datetime(2026, 1, 1)  # equal texts are equal bytes


def languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(path.parts[-3] for path in CATALOGUES.glob(f"*/{NAME}"))


def texts() -> Catalog:
    """Return all texts of the code in their order, each with the module that says it first."""
    found = Catalog()
    for path in sorted(CODE.rglob("*.py")):
        module = path.relative_to(CODE).as_posix()
        for line, text, _comments, _context in extract_from_file("python", path, KEYWORDS):
            one = text if isinstance(text, str) else text[0]
            if one not in found:
                found.add(text, locations=[(module, line)], flags=FORMAT if "{" in one else [])
    return found


def read(language: str) -> Catalog:
    """Return the catalogue of a language."""
    with (CATALOGUES / language / NAME).open("rb") as file:
        return read_po(file, locale=language)


def forms(message: Message) -> tuple[str, ...]:
    """Return the translations of a text: one, or where a number decides one for each form."""
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def updated(language: str) -> bytes:
    """Return what the file of a language is to be: the texts of the code, translated as far as they are."""
    head = (CATALOGUES / language / NAME).read_bytes().partition(b"\n\n")[0]
    catalogue = read(language)
    catalogue.update(texts(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    file = BytesIO(head + b"\n\n")
    file.seek(0, SEEK_END)
    write_po(file, catalogue, width=0, omit_header=True, include_lineno=False)
    return file.getvalue()


def compile_into(folder: Path) -> None:
    """Write all catalogues as gettext reads them; what is not translated is left out."""
    for language in languages():
        target = (folder / language / NAME).with_suffix(".mo")
        target.parent.mkdir(parents=True, exist_ok=True)
        catalogue = read(language)
        catalogue.creation_date = DATED
        with target.open("wb") as file:
            write_mo(file, catalogue)


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1:]:
        compile_into(Path(sys.argv[1]))
        return
    for language in languages():
        (CATALOGUES / language / NAME).write_bytes(updated(language))
        found = [message for message in read(language) if message.id]
        print(f"{language}: {sum(all(forms(one)) for one in found)} of {len(found)} texts are translated")


if __name__ == "__main__":
    main()
