"""Map tools: rescale, mask, post-process."""
