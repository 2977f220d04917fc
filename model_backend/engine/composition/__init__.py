"""What a scene shows and where: from a prompt to a label map, by hashed chance, before any pixel is made.

A label map is a function of seed and place, in whole numbers, so any box of it can be asked for alone. Numpy
and numba, no torch.

    forms         how large things are and what outline they have
    words         words for how many, how large, where, what not
    mentions      the things that a prompt names
    composition   what a scene shows, as values
    prompt        from a prompt to a composition: begin here
    outlines      noise, shapes, and where streets run
    streets       towns from near: streets, blocks, outlines
    drawing       from a thing and a place to shapes
    placement     where things lie on a canvas
    recurrence    where they recur on endless ground
    layers        shapes drawn over each other
    label_maps    label maps of layers
    zones         parts of a scene and the kinds that show them
    order         what is drawn over what
    land          from a composition to a label map: the end
"""
