"""`python -m tests.train.in_float64 ...`: the trainer's command in float64, for a test of several processes."""

import sys

import torch

from train.__main__ import main

if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    sys.exit(main())
