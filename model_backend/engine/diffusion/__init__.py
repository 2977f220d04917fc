"""Latent diffusion over many windows: noise, prompts, guidance, sampling, blending, decoding."""
