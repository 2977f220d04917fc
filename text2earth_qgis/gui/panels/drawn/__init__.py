"""Forms for what is drawn on the map or chosen from layers: masks, regions, layouts, samples."""
