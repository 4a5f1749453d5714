"""Boards for terminals, pages and programs; the same board gives the same bytes."""
