"""Land by example as jobs see it: prompts are laid out, images chosen, and arranged into land.

passes        how far it is, for whoever shows it
profile       what its bits depend on
credits       what pixels were copied from
samples       areas of the user's own rasters as example images
land_cover    a raster of classes as a label map
given         what the user's rasters give: samples, land cover
choice        which images of a bank a scene is made of, as an atlas
outlined      polygons as label maps
parcels       farmland from near as parcels
scene         from a recipe and a bank to the pixels of any box: begin here
fill_cost     canvas and work of masks
surroundings  a mask filled from what lies around it
edit          the masked part of a raster, from a prompt
"""
