"""Model cards, downloads and the loader: the only place for diffusers and transformers."""
