"""Rasters on the ground and in files; the only place for rasterio and pyproj."""
