"""The page: loads a generator from the Hub or a folder and samples it by class."""
