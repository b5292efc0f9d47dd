"""Data room: sources of pictures, preparation into a folder, and feeding batches from it.

Nothing is imported here, so that the worker processes of a preparation start without torch:
`train.data.dataset.PreparedDataset`, `train.data.feed.RealBatches`.
"""
