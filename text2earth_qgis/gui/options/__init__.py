"""The page in Settings > Options: servers, models, where results go."""
