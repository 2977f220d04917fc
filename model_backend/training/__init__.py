"""Trains the bundled model text2earth-mini from land-cover chips, in stages; needs no GIS and no server."""
