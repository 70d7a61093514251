"""Fixtures that batchflow's own tests and plugin authors' tests share."""
