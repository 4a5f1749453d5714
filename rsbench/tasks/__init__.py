"""What each task means: its batch, its model contract, its predictions."""
