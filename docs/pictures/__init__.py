"""Pictures of the documentation, drawn by scripts."""
