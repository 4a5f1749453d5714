"""The documentation: pages written by hand, and what generates the others."""
