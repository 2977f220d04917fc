"""Text2Earth for QGIS: the plugin. Importing the package imports no QGIS."""


def classFactory(iface: object) -> object:
    """Return the plugin; ``iface`` is None in qgis_process."""
    from qgis.core import QgsApplication

    from .core.language import speak

    speak(QgsApplication.locale())  # before the import of what has texts
    from .plugin import Text2EarthPlugin

    return Text2EarthPlugin(iface)
