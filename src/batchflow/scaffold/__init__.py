"""What `batchflow plugin new` writes: real packages, named `your-plugin`, where the folder `every` goes into each of them.

Nothing here is ever imported by batchflow. It may know what any plugin may: `batchflow.plugin`, and in tests `batchflow.testing` and `batchflow.sim`.
"""
