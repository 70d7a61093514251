"""Time, tasks and leases: the only loop. It asks the store what is due, and a restart asks the same."""
