"""Rasters as files: checking uploads, reading headers and pixels, writing scenes and edits."""
