"""The servers that Videoproc brings along, and the supervisor that keeps them and its own processes running.

Nothing here imports Django: these modules run before the site does, and also when it cannot start.
"""
