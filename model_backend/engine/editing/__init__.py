"""Repainting a part of a picture, and joining it to what stays."""
