"""Suites that come with rsbench."""
