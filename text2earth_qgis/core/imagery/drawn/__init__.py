"""What users draw on the map and send: regions with prompts of their own, and layouts."""
