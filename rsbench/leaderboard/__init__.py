"""Leaderboards as a pure function of records."""
