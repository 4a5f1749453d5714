"""Files become arrays: download, verify, extract, prepare, split."""
