"""The admin's pages that need to know jobs: jobs themselves, accounts and videos with what they use,
webhooks, and the site's settings."""

from jobs.admin import accounts, jobs, settings, videos, webhooks

__all__ = ["accounts", "jobs", "settings", "videos", "webhooks"]
