"""`python -m batchflow` is the command `batchflow`, where no script of that name is on the path."""

from batchflow.cli import main

if __name__ == "__main__":
    main()
