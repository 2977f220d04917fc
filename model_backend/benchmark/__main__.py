"""``python -m model_backend.benchmark``: what is measured of models, without the rest of the backend."""

from model_backend.benchmark.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
