"""The chaos suite: `bin/chaos`. See docs/jobs-lifecycle.md."""
