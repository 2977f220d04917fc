"""How a backend runs: it listens, limits its connections, is found by its user, and ends."""
