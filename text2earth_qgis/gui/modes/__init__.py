"""What can be asked for: one module per tab of the dock."""
