"""Numbers about pictures, free of any model: seams, tone, contrast, repetition, borders, sets of images.

All are ratios against other places of the same picture, or against reference pictures, so that a real mosaic
goes through the same code and says what a picture without faults looks like. A number far from one is not a
verdict by itself; every comparison therefore carries a z and a band.

Pictures are arrays (bands, rows, columns) of any real type, rows southward; results have no unit unless a
docstring names one. Knows numpy only (``image_sets``: torch too): no model, no lattice of the engine, no CRS,
no files. Definitions follow the project's study of unbounded diffusion (seam gradient ratio, tone step, decoy
lattice); where there is an earlier source, the function names it.
"""
