"""What a person sees while runs go on: one calm panel at a terminal, one line a change everywhere else.

Nothing is said per record. Both screens are told of events as they are committed, and shown the books twice a second.
"""
