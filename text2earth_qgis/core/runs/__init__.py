"""Runs from the request to the file: waited for, watched, remembered; and a backend of one's own."""
