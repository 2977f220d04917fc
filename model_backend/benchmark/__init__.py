"""Measuring: how fast a model runs beside the stock pipelines, and how seamless a picture is.

Above the engine, beside nothing: no jobs, no HTTP. Reading a GeoTIFF is left to `model_backend.raster`, asked
only when one is given.
"""
