"""What an administrator does from a terminal: orders to a running backend, tokens, backups."""
