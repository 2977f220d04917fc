"""The parts of the dock. Each shows one thing and says by signals what the user did; none talks HTTP."""
