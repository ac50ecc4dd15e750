"""The roles: each module is one process, told by what it does not know."""
