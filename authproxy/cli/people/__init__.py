"""`authproxy people`: the register of people, its lists in files, and its commands."""
