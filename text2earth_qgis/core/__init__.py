"""What the plugin does without widgets: wire, jobs, layers, history."""
