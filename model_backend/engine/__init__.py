"""Latents to pixels on integer boxes: no CRS, no files."""
