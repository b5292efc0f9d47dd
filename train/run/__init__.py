"""A run on disk and on its processes: folder, lock, checkpoints, provenance, launch."""
