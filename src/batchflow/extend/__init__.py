"""pluggy lives here and nowhere else: it introduces components, it never works.

Plugins import `hookimpl` (through `batchflow.plugin`); the app asks the typed facade. No hook is called per record.
"""

from batchflow.extend.hooks import hookimpl

__all__ = ["hookimpl"]
