"""From the network's coarse chroma to full-size chroma."""
