"""Part of rsbench."""
