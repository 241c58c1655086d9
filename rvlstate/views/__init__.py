"""Views: plans, events and other values as text, JSON and markdown; the door to rich."""
