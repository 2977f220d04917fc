"""What the user sees: ``dock`` is the frame; ``connection``, ``planning`` and ``runner`` ask and follow."""
