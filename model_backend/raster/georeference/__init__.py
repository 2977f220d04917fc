"""Where a raster lies: CRSs as callers name them, lengths on the ground, pixel grids, a request's place."""
