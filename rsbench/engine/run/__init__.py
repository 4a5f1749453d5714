"""One run from plan to record: build, check, train or load, score, report."""
