"""The backup: original values of documents in a folder, written before they are replaced, read back for a rollback."""
