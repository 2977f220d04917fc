"""What a request comes to, asked of the backend while it is edited, and pixel sizes to choose from."""
