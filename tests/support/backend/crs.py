"""Coordinate reference systems that have no code."""

import pyproj

LAEA = pyproj.CRS.from_proj4("+proj=laea +lat_0=47.5 +lon_0=13.3 +x_0=4e5 +y_0=4e5 +datum=WGS84").to_wkt()
ROTATED = (
    'GEOGCRS["rotated",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563]]],DERIVINGCONVERSION["pole",'
    'METHOD["Pole rotation (GRIB convention)"],'
    'PARAMETER["Latitude of the southern pole (GRIB convention)",-39.25],'
    'PARAMETER["Longitude of the southern pole (GRIB convention)",18],'
    'PARAMETER["Axis rotation (GRIB convention)",0]],CS[ellipsoidal,2],AXIS["latitude",north],'
    'AXIS["longitude",east],ANGLEUNIT["degree",0.0174532925199433]]'
)
