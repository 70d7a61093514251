"""The API simulator: a product feature that knows nothing of the rest of batchflow."""
