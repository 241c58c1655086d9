"""What differs between two definitions, as facts in the past tense. Knows nothing of Redis commands."""
