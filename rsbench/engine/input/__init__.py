"""Images and their transforms, from the store to batches on a device."""
