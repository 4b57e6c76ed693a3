"""`python -m siamrec`: the command, where the script is not on the path."""

from siamrec.cli import main

if __name__ == "__main__":
    main()
