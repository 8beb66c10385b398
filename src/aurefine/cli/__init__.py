"""Command line: parse, call `jobs`, show."""

__all__ = ["main", "parser"]
