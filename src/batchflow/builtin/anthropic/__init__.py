"""The Anthropic provider: the only place that knows the Message Batches API."""
