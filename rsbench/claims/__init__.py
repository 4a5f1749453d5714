"""What papers report, checked by exact arithmetic on the digits as they are printed."""
