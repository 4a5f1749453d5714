"""What the engine does differently for each task: batches, losses, evaluation, and sanity checks."""
