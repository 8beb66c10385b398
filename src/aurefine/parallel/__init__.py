"""Communicator, work splitting and threads."""
