"""Who runs what: the store, the supervisor, the worker."""
