"""Taking a site elsewhere: export and import as JSON Lines and files, backup and restore."""
