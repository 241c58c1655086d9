"""The one document primitive: each document of a rewrite is brought into the desired layout, guarded, in passes."""
