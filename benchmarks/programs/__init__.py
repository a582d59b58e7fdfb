"""The measured programs, each a process of its own: options as JSON in the first argument, JSON lines out."""
