"""Moving in from the original application, which kept its data in JSON files. See docs/migration.md."""
