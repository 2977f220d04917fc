"""The Text2Earth backend: OGC API - Processes in front of a diffusion model, GeoTIFFs behind it.

Reading order: ``schemas`` (the recipe), ``api`` (the wire), ``processes`` (what is offered), ``jobs`` (who
runs what), ``jobs.handlers.scenes`` (how a scene is made), ``engine.scene`` (latents to pixels),
``raster.files.scene_writer`` (pixels to GeoTIFF). Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"

#: Version of the pixel rules. It is part of every recipe; any change of output pixels bumps it.
ENGINE_VERSION = 6
