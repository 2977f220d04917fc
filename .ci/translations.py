"""Brings the translations of the plugin up to date with the texts in its code: ``make translations``.

Each resources/i18n/LANGUAGE/LC_MESSAGES/text2earth.po gets the texts of the code, in its order, and keeps
what is translated; what the code no longer says is dropped. ``compile_into`` makes the files that gettext
reads (.mo), for the plugin as QGIS installs it; they are kept nowhere else. Python's library has no more than
their reader, and .ci/qgis runs under Pythons without packages: so both formats are read and written here.
"""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "text2earth_qgis"
CATALOGUES = ROOT / "resources" / "i18n"
NAME = Path("LC_MESSAGES", "text2earth.po")
PART = re.compile(r'^(msgid|msgid_plural|msgstr(?:\[\d\])?)\s((?:"(?:[^"\\]|\\.)*"\s*)+)', re.M)


@dataclass(frozen=True)
class Text:
    """An English text of the code; ``many`` is its plural, '' if it has none."""

    one: str
    many: str = ""


@dataclass
class Catalogue:
    """The translations of one language: comment and header of its file, and the forms of each text."""

    comment: str
    header: str
    forms: dict[Text, tuple[str, ...]] = field(default_factory=dict)

    @property
    def plurals(self) -> int:
        """How many forms a text with a plural has."""
        return int(re.search(r"nplurals=(\d)", self.header).group(1))  # type: ignore[union-attr]


def languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(path.parts[-3] for path in CATALOGUES.glob(f"*/{NAME}"))


def texts() -> dict[Text, str]:
    """Return all texts of the code in their order, each with the module that says it first."""
    found: dict[Text, str] = {}
    for path in sorted(CODE.rglob("*.py")):
        for text in texts_in(path):
            found.setdefault(text, path.relative_to(CODE).as_posix())
    return found


def texts_in(path: Path) -> Iterator[Text]:
    """Yield what a module calls ``tr`` and ``trn`` with."""
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    for node in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
        count = {"tr": 1, "trn": 2}.get(getattr(node.func, "id", ""), 0)
        literals = [one.value for one in node.args[:count] if isinstance(one, ast.Constant)]
        if len(literals) < count:
            raise SystemExit(f"{path}:{node.lineno}: only a plain text can be translated, without f.")
        if count:
            yield Text(*literals)


def read(language: str) -> Catalogue:
    """Return the catalogue of a language."""
    content = (CATALOGUES / language / NAME).read_text("utf-8")
    lines = content.splitlines()
    comment = "\n".join(lines[: next(at for at, line in enumerate(lines) if not line.startswith("#"))])
    plain = "\n".join(line for line in lines if not line.startswith("#"))
    entries: list[dict[str, str]] = []
    for key, literals in PART.findall(plain):
        if key == "msgid":
            entries.append({})
        entries[-1][key] = ast.literal_eval(f"({literals})")
    found = Catalogue(comment, entries[0]["msgstr"])
    for entry in entries[1:]:
        forms = tuple(value for key, value in entry.items() if key.startswith("msgstr"))
        found.forms[Text(entry["msgid"], entry.get("msgid_plural", ""))] = forms
    return found


def updated(language: str) -> str:
    """Return what the file of a language is to be: the texts of the code, translated as far as they are."""
    known = read(language)
    parts = [known.comment, f'msgid ""\nmsgstr ""\n{_quoted_lines(known.header)}']
    for text, module in texts().items():
        forms = known.forms.get(text) or ("",) * (known.plurals if text.many else 1)
        flag = ["#, python-brace-format"] if "{" in text.one else []
        lines = [f"#: {module}", *flag, f"msgid {_quoted(text.one)}"]
        if text.many:
            lines.append(f"msgid_plural {_quoted(text.many)}")
            lines += [f"msgstr[{number}] {_quoted(form)}" for number, form in enumerate(forms)]
        else:
            lines.append(f"msgstr {_quoted(forms[0])}")
        parts.append("\n".join(lines))
    return parts[0] + "\n" + "\n\n".join(parts[1:]) + "\n"


def compile_into(folder: Path) -> None:
    """Write all catalogues as gettext reads them: ``folder/LANGUAGE/LC_MESSAGES/text2earth.mo``."""
    for language in languages():
        target = (folder / language / NAME).with_suffix(".mo")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(compiled(read(language)))


def compiled(catalogue: Catalogue) -> bytes:
    """Return a catalogue as a .mo file: sorted texts and their translations, each ended by a zero."""
    pairs = {b"": catalogue.header.encode()}
    for text, forms in catalogue.forms.items():
        if all(forms):
            key = f"{text.one}\0{text.many}" if text.many else text.one
            pairs[key.encode()] = "\0".join(forms).encode()
    keys = sorted(pairs)
    count, head = len(keys), 28  # bytes of the header; the tables of lengths and offsets follow it
    tables, strings, at = b"", b"", head + 16 * count
    for one in (*keys, *(pairs[key] for key in keys)):
        tables += struct.pack("<II", len(one), at + len(strings))
        strings += one + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, count, head, head + 8 * count, 0, 0) + tables + strings


def _quoted(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def _quoted_lines(text: str) -> str:
    return "\n".join(map(_quoted, text.splitlines(keepends=True)))


if __name__ == "__main__":
    for name in languages():
        (CATALOGUES / name / NAME).write_text(updated(name), "utf-8")
        found = read(name).forms
        print(f"{name}: {sum(map(all, found.values()))} of {len(found)} texts are translated")
