"""Map tools: rescale, mask, post-process."""

__all__ = ["chain", "curves", "mask", "operations", "sharpening"]
