"""What the user sees: ``dock`` is the frame; ``connection``, ``planner`` and ``runner`` ask and follow."""
