"""Notifications: what a look at drift found, told to chats and webhooks."""
