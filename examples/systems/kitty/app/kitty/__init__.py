"""Six services of KITTY in one package: which one a process is, says the variable SERVICE."""
