"""Make the environment that everything else runs in. Standard library only: there is nothing else yet."""
