"""The list of runs in the dock: its rows, their pictures, its buttons."""
