"""Trains text2earth-mini; runs on a bare GPU box."""
