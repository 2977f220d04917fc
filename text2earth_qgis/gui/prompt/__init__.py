"""Writing a prompt: the field with its completion, words to choose from, what is not understood, and prompts
of before and for a start."""
