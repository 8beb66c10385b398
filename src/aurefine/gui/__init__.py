"""The web application: projects, forms, live views and results in a browser.

Thin on purpose: parse a request, call `project`, `jobs` or `io`, and show what comes back.
"""

__all__ = ["command", "server"]
