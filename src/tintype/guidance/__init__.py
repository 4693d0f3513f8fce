"""What a person tells a colorizer: hints."""
