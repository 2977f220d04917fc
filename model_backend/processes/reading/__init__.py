"""What models understand of prompts, for those who write them.

vocabulary   the words of a model, in five languages: begin here
terms        the tables: usual words for land, and what comes near to words that no model of ours knows
nearest      words that a model knows, near to one that it does not
read         the process that reads a prompt
"""
