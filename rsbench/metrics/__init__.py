"""Metrics in two stages, and the statistics that every metric shares."""
