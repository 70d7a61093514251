"""Promises: what somebody else must do for batchflow, as Protocols, with no code.

Stages call them, `builtin` and plugins keep them, `batchflow.testing` holds a contract suite for each.
A promise of a port is in its docstring; what may happen twice is said there.
"""
