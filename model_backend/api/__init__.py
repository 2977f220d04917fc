"""HTTP: OGC API - Processes over the job store."""
