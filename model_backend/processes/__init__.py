"""The processes on offer, one file each: their description, inputs and plan."""
