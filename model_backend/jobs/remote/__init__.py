"""Workers on other computers, which claim blocks of a backend over HTTP and hand them in."""
