"""The job store: jobs, blocks and results as rows of one SQLite database."""
