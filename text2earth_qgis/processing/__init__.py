"""The plugin's algorithms for the Processing toolbox, models, batch and qgis_process."""
