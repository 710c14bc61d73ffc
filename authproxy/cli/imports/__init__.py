"""`authproxy import`: the configuration of another gateway → settings of this one, and a list of what became
of every statement.

What is written never lets anybody in whom the other gateway kept out. A rule that narrows access and cannot
be said here exactly is written more narrowly, or so that `check-config` stops at it until somebody decides.
"""
