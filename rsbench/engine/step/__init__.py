"""One step of training that fits into memory: micro-batches, recomputation, compilation, work counted."""
