"""What users read in their language: QGIS's, where there is a translation, else English.

``tr`` and ``trn`` look English texts up in ``resources/i18n/LANGUAGE/LC_MESSAGES/text2earth.mo`` (gettext). A
text with values is looked up with its fields, and filled: ``tr("{part} of {whole}").format(part=…)``.
A language that is changed holds from QGIS's next start, as its own does.
"""

from __future__ import annotations

import gettext
from functools import cache

from qgis.core import QgsApplication

from text2earth_qgis.core.paths import resource

DOMAIN = "text2earth"


@cache
def _catalogue() -> gettext.NullTranslations:
    language = QgsApplication.locale()
    return gettext.translation(DOMAIN, resource("i18n"), [language, language[:2]], fallback=True)


def tr(text: str) -> str:
    """Return an English text of the user interface in the user's language."""
    return _catalogue().gettext(text)


def trn(one: str, many: str, number: int) -> str:
    """Return the text for that number of things in the user's language; ``one`` and ``many`` are English."""
    return _catalogue().ngettext(one, many, number)
