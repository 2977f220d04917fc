"""The stages of training, in their order: autoencoder, decoder, diffusion, edge distillation."""
