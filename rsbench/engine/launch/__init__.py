"""Processes in which runs happen: pools, workers, ranks."""
