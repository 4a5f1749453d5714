"""The engine: builds, trains, evaluates and records one run.  The only package that imports torch at its top;
``launch`` alone is free of it, since the parent process imports it."""
