"""Run millions of Claude requests at batch price, and know where every one of them is."""
