"""`python -m tintype` is the command `tintype`."""

from tintype.cli import main

if __name__ == "__main__":
    main()
