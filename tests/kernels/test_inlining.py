"""Compiled functions that others call are parts of their callers.

A copy that is not inlined is a weak symbol: which copy a process runs would depend on what it has
loaded before, compiled or from the cache, and copies may round differently.
"""

import importlib
import pkgutil

from numba.core.registry import CPUDispatcher

import aurefine.kernels


def compiled_functions():
    for module in pkgutil.iter_modules(aurefine.kernels.__path__, "aurefine.kernels."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, CPUDispatcher):
                yield value


def called_by(function):
    """Compiled functions that the code of a compiled function names."""
    found = [function.py_func.__globals__.get(name) for name in function.py_func.__code__.co_names]
    return [value for value in found if isinstance(value, CPUDispatcher)]


def test_what_kernels_call_is_inlined():
    pairs = [(f, callee) for f in compiled_functions() for callee in called_by(f)]
    assert len(pairs) > 20
    separate = {
        f"{callee.py_func.__qualname__} in {f.py_func.__qualname__}"
        for f, callee in pairs
        if not callee.targetoptions.get("forceinline")
    }
    assert not separate
