"""``python -m model_backend.training``: the commands of training without the rest of the backend."""

from model_backend.training.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
