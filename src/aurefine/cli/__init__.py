"""Command line: parse, call `jobs`, show."""
