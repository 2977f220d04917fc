"""Rasters, masks and regions of the user: read, cropped, sent, and put back together."""
