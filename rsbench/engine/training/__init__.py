"""Training: optimizer, schedule, phases, choice of the checkpoint, states to resume from."""
