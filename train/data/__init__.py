"""Real images: where they come from, their preparation into a folder, and batches fed from it.

Nothing is imported here, so that the worker processes of a preparation start without torch:
`train.data.dataset.PreparedDataset`, `train.data.feed.RealBatches`.
"""
