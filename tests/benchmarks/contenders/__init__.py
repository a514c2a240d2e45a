"""The contenders of `peers`, a file for each library: prepare(problem) -> run; run(n) makes n turns of `unit` steps.

`run` waits until they are done and returns a function, called when the clock stands, that returns the cost. Libraries
are imported at the top, so importing a file is importing its library, and no process has another's.
"""
