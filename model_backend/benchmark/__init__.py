"""How fast a model runs, beside the stock pipelines of the same weights. No jobs, no HTTP."""
