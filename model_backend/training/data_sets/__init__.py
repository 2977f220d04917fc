"""What training learns from: chips of land cover, captions, masks, drawn scenes, and batches of them."""
