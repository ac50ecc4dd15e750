"""One protocol a module: the places where system calls and foreign formats live."""
