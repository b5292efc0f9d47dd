"""`python -m sngan_cond` is `sngan-cond`."""

from sngan_cond.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
