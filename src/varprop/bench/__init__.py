"""Speed beside NumPy: contenders that anyone who has varprop can run, in turns (`varprop bench`).

The project's `make bench` runs them too, among contenders that need other packages.
"""
