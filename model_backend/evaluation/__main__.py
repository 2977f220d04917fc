"""``python -m model_backend.evaluation``: measure land by example without the rest of the backend."""

from model_backend.evaluation.by_example.command import main

if __name__ == "__main__":
    raise SystemExit(main())
