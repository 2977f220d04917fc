"""Banks: openly licensed example images, read from their folders, in pixels of any size."""
