"""Where things begin and end: outlines and streets as functions of seed and place, in whole numbers.

noise      smooth random heights that belong to a place
marking    compiled: which pixels lie in a shape
shapes     natural and straight outlines, rivers, coasts
network    where the streets of towns run, compiled
"""
