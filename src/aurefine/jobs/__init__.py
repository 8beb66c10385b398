"""Jobs: option tables, runners and the files they write."""

__all__ = ["extract_job", "map_tools", "mask_create", "postprocess", "refine3d", "simulate"]
