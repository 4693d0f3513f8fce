"""Pictures: what travels together, how it is read and written, and how chroma joins luma."""
