"""Map tools: what the user does on the canvas."""
