import os

# One thread: tiny tensors lose more to the meeting of threads than they gain, and sums keep their order.
os.environ.setdefault("OMP_NUM_THREADS", "1")
