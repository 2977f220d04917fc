"""Text2Earth for QGIS: the plugin. Importing the package imports no QGIS."""


def classFactory(iface: object) -> object:
    """Return the plugin; ``iface`` is None in qgis_process."""
    from .plugin import Text2EarthPlugin

    return Text2EarthPlugin(iface)
