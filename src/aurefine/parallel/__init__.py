"""Communicator, work splitting and threads."""

__all__ = ["pool"]
