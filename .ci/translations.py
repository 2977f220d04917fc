"""Keeps the translations of what users read in step with the code, and compiles them for the plugin.

    .ci/translations.py            bring resources/i18n/LANGUAGE/LC_MESSAGES/*.po up to date
    .ci/translations.py FOLDER     write what the plugin reads: FOLDER/LANGUAGE/LC_MESSAGES/text2earth.mo for
                                   gettext, and backend.json, where texts are looked up by their fields

There are two catalogues of a language: text2earth.po has the texts of the plugin, backend.po what a backend
says. They have the texts of the code in their order, keep what is translated, drop what the code no longer
says.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from io import SEEK_END, BytesIO
from pathlib import Path

import backend_texts
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.numbers import get_decimal_symbol, get_group_symbol

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "text2earth_qgis"
CATALOGUES = ROOT / "resources" / "i18n"
FOLDER = "LC_MESSAGES"
PLUGIN, BACKEND = "text2earth", "backend"
KEYWORDS = {"tr": None, "trn": (1, 2)}
FORMAT = ["python-brace-format"]
WORD = "word"  # context of words for land, which are looked up only where a word stands
DATED = datetime(2026, 1, 1)  # equal texts are equal bytes


def languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(path.parts[-3] for path in CATALOGUES.glob(f"*/{FOLDER}/{PLUGIN}.po"))


def texts() -> Catalog:
    """Return all texts of the plugin in their order, each with the module that says it first."""
    found = Catalog()
    for path in sorted(CODE.rglob("*.py")):
        module = path.relative_to(CODE).as_posix()
        for line, text, _comments, _context in extract_from_file("python", path, KEYWORDS):
            one = text if isinstance(text, str) else text[0]
            if one not in found:
                found.add(text, locations=[(module, line)], flags=FORMAT if "{" in one else [])
    return found


def said() -> Catalog:
    """Return all texts of the backend that users of the plugin read, and words that stand in them."""
    found = Catalog()
    for text, module in backend_texts.texts().items():
        found.add(text, locations=[(module, 1)], flags=FORMAT if "{" in text else [])
    for word, module in backend_texts.words().items():
        found.add(word, locations=[(module, 1)], context=WORD)
    return found


def catalogue_file(language: str, name: str) -> Path:
    """Return the file of a catalogue, which need not be there."""
    return CATALOGUES / language / FOLDER / f"{name}.po"


def read(language: str, name: str = PLUGIN) -> Catalog:
    """Return a catalogue of a language."""
    with catalogue_file(language, name).open("rb") as file:
        return read_po(file, locale=language)


def forms(message: Message) -> tuple[str, ...]:
    """Return the translations of a text: one, or where a number decides one for each form."""
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def updated(language: str, name: str, template: Catalog) -> bytes:
    """Return what a catalogue is to be: the texts of the code, translated as far as they are."""
    head = catalogue_file(language, name).read_bytes().partition(b"\n\n")[0]
    catalogue = read(language, name)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    file = BytesIO(head + b"\n\n")
    file.seek(0, SEEK_END)
    write_po(file, catalogue, width=0, omit_header=True, include_lineno=False)
    return file.getvalue()


def together(text: str) -> str:
    """Return a text in which no line begins with a sign that French sets apart from its word."""
    return re.sub("(?<=«) | (?=[»:;?!])", "\u00a0", text)


def compile_into(folder: Path) -> None:
    """Write all catalogues as the plugin reads them; what is not translated is left out."""
    for language in languages():
        target = folder / language / FOLDER
        target.mkdir(parents=True, exist_ok=True)
        catalogue = read(language)
        catalogue.creation_date = DATED
        for message in catalogue:
            if message.id:
                single = isinstance(message.string, str)
                message.string = together(message.string) if single else tuple(map(together, message.string))
        with (target / f"{PLUGIN}.mo").open("wb") as file:
            write_mo(file, catalogue)
        numbers = {",": get_group_symbol(language), ".": get_decimal_symbol(language)}
        shown: dict[str, dict[str, str]] = {"texts": {}, "words": {}, "numbers": numbers}
        for message in read(language, BACKEND):
            if message.id and message.string:
                shown["words" if message.context else "texts"][message.id] = together(message.string)
        (target / f"{BACKEND}.json").write_text(json.dumps(shown, ensure_ascii=False), "utf-8")


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1:]:
        compile_into(Path(sys.argv[1]))
        return
    for name, template in ((PLUGIN, texts()), (BACKEND, said())):
        for language in languages():
            catalogue_file(language, name).write_bytes(updated(language, name, template))
            found = [message for message in read(language, name) if message.id]
            translated = sum(all(forms(one)) for one in found)
            print(f"{language}: {translated} of {len(found)} texts of {name}.po are translated")


if __name__ == "__main__":
    main()
