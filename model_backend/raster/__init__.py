"""The only place for rasterio and pyproj: frames, CRS, GeoTIFFs, provenance."""
