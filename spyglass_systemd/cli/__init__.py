"""What a person types; the only place that imports click and rich."""
