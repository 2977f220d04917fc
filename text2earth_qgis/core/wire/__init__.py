"""What travels between plugin and backend, and how: schemas, questions, waiting and asynchronous clients."""
