"""Facts: frozen, slotted, keyword-only values that decide nothing.

Everything above may import this room; it imports nothing of batchflow. A value that chooses between two courses
belongs in `machine`; a value that knows how to reach something belongs behind a port.
"""
