"""How records become requests: templates."""
