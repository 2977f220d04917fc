"""What administrators need: metrics, probes, an audit log, and commands on a socket of their own."""
