"""Who tells people outside how a run stands: a signed webhook."""
