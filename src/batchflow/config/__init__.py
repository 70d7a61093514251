"""Job files: YAML in, checked values out, every problem at once with its place."""
