"""What users read in their language: QGIS's, where there is a translation, else English.

``tr`` and ``trn`` look English texts up in ``resources/i18n/LANGUAGE/LC_MESSAGES/text2earth.mo`` (gettext). A
text with values is looked up with its fields, and filled: ``tr("{part} of {whole}").format(part=…)``.
The plugin names the language before it imports what has texts; a language that is changed holds from QGIS's
next start, as its own does. What a backend says has a catalogue of its own, ``backend.json``, since its
sentences come with their values in them (``core.wire.sentences``). Knows no QGIS.
"""

from __future__ import annotations

import gettext
import json
from pathlib import Path
from typing import Mapping

from text2earth_qgis.core.paths import resource

DOMAIN = "text2earth"

_catalogue = gettext.NullTranslations()
_said: Mapping[str, Mapping[str, str]] = {}


def speak(language: str) -> None:
    """Take a language, by the name that QGIS has for it: de, pt_BR, zh-Hans."""
    global _catalogue, _said
    names = [language, language[:2]]
    _catalogue = gettext.translation(DOMAIN, resource("i18n"), names, fallback=True)
    files = (Path(resource("i18n", name, "LC_MESSAGES", "backend.json")) for name in names)
    found = next(filter(Path.is_file, files), None)
    _said = {} if found is None else json.loads(found.read_text("utf-8"))


def said_by_backends() -> Mapping[str, Mapping[str, str]]:
    """Return what users read for ``texts``, ``words`` and signs in ``numbers`` of backends; {}: English."""
    return _said


def spoken() -> str:
    """Return the language that is spoken, in two letters."""
    return str(_catalogue.info().get("language", "en"))[:2]


def tr(text: str) -> str:
    """Return an English text of the user interface in the user's language."""
    return _catalogue.gettext(text)


def trn(one: str, many: str, number: int) -> str:
    """Return the text for that number of things in the user's language; ``one`` and ``many`` are English."""
    return _catalogue.ngettext(one, many, number)
