"""Land by example: new imagery in which every pixel is one of a real, openly licensed image.

Patch-based texture optimisation from coarse to fine (Kwatra et al. 2005, PatchMatch of Barnes et al. 2009),
written so that the result is a function of the recipe and the place alone: passes read the state before them
only, chance is hashed from the pixel's position, and all arithmetic is in whole numbers. Numpy and numba, no
torch.

    pyramid    images, label maps and masks at half the size
    atlas      the example images of one level in a single array, with what may be taken from it
    room       memory that is given back
    hashing    random numbers that belong to a place
    score      how well a patch explains what is at a place
    usage      how often a source pixel is used nearby, so that nothing is repeated in one view
    search     better patches for every pixel: from its neighbours, at random, nearby
    vote       what overlapping patches make of a pixel
    labels     which kinds of land may be used where
    scene      from a box of the plane to pixels and their sources
    fill       from a hole in an image to sources; ``by_example.surroundings`` uses it: begin there
    peel       the first, coarsest look at a hole
"""
