"""Variants of one request beside each other, on the map one at a time; what is kept is a usual result."""
