"""What users draw and send as features: regions with prompts share reading it with the layout.

collection   the features of a collection, their names, their numbers, limits
land_class   what the class of a feature means
layout       from the features of a layout to what a recipe has: begin here
raster_layout a raster of classes as layout
layout_notes what a plan says about a layout
drawings     regions and layout together
"""
