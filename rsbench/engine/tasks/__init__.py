"""What the engine does differently for each task: batches, losses, evaluation, checks and gates."""
