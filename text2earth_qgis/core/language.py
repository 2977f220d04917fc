"""What users read in their language: QGIS's, where there is a translation, else English.

``tr`` and ``trn`` look English texts up in ``resources/i18n/LANGUAGE/LC_MESSAGES/text2earth.mo`` (gettext). A
text with values is looked up with its fields, and filled: ``tr("{part} of {whole}").format(part=…)``.
The plugin names the language before it imports what has texts; a language that is changed holds from QGIS's
next start, as its own does. Knows no QGIS.
"""

from __future__ import annotations

import gettext

from text2earth_qgis.core.paths import resource

DOMAIN = "text2earth"

_catalogue = gettext.NullTranslations()


def speak(language: str) -> None:
    """Take a language, by the name that QGIS has for it: de, pt_BR, zh-Hans."""
    global _catalogue
    names = [language, language[:2]]
    _catalogue = gettext.translation(DOMAIN, resource("i18n"), names, fallback=True)


def tr(text: str) -> str:
    """Return an English text of the user interface in the user's language."""
    return _catalogue.gettext(text)


def trn(one: str, many: str, number: int) -> str:
    """Return the text for that number of things in the user's language; ``one`` and ``many`` are English."""
    return _catalogue.ngettext(one, many, number)
