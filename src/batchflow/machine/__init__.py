"""Decisions: pure functions over values. No clock, no await, no I/O, no randomness.

Stages ask, the machine answers, stages commit. Every rule about what may follow what stands here, drawn as tables.
"""
