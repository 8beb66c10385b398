"""Run the program with ``python -m aurefine``."""

from aurefine.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
