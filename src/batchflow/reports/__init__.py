"""Reports: read the store and shape facts for people and programs. They write nothing and send nothing.

Here live `ps`, `report`, `show`, `results` and `plan` as values; a door prints them, or encodes them as JSON. Money in a
report is in dollars, except in `books`, which are the store's own counters: integers, money in nano-dollars.
"""
