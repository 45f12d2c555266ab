"""`python -m autorec`: the command `autorec`."""

from autorec.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
