"""Builds the bank of example images that scenes are drawn from: choice, labels, tone, files, sheets."""
