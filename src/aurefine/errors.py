"""Exceptions with one clear message for the user: file, place, what was found, what to do."""

__all__ = [
    "AurefineError",
    "ImageError",
    "MrcError",
    "OptionError",
    "OutputError",
    "StarError",
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
