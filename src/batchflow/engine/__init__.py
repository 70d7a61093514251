"""Time, tasks and leases: the only loop. It asks the store what is due, and a restart asks the same.

`Driver` drives one run. It knows *now*, sleeps, starts tasks and holds the lease; every change is made by a stage.
"""
