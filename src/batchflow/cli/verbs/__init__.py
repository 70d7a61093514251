"""The verbs, one module each: what may be typed, and the words that explain it. The work is done elsewhere."""
