"""One verb each: await one port, hand the answer to the machine, commit one change.

A stage holds nothing between commits. It is addressed by a kind and an id, and may be run again at any time: recovery
is the same call as the first try.
"""
