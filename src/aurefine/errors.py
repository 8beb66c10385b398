"""Exceptions with one clear message for the user: file, place, what was found, what to do."""

import errno

__all__ = [
    "AurefineError",
    "ImageError",
    "MrcError",
    "OptionError",
    "OutputError",
    "StarError",
    "describe_error",
]


class AurefineError(Exception):
    """Any failure that the user can understand and act on; shown without a traceback."""


class StarError(AurefineError):
    """A STAR file that is malformed, incomplete or inconsistent."""


class MrcError(AurefineError):
    """An MRC map or stack that can not be read or does not fit."""


class ImageError(AurefineError):
    """Image data that can not be used: missing, non-finite, or of a wrong size."""


class OptionError(AurefineError, ValueError):
    """A command-line option or argument with a value that makes no sense."""


class OutputError(AurefineError):
    """An output file or folder that can not be written."""


def describe_error(error: Exception) -> str:
    """Return the message for the user about any failure."""
    if isinstance(error, AurefineError):
        return str(error)
    if isinstance(error, MemoryError):
        return (
            f"out of memory ({error or 'no details'}). Use --pad 1, a smaller box, fewer threads "
            "or a machine with more memory."
        )
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{name}the disk is full. Free some space, then go on with --continue."
        return f"{name}{error.strerror or error}."
    return (
        f"unexpected {type(error).__name__}: {error}. This is a defect of aurefine; run again "
        "with --debug and report the output."
    )
