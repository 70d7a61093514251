"""What a usable answer is: JSON schemas."""
