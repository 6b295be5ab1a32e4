"""What varprop is measured beside: one file each, written as its own users would write it well.

A contender is run by `worker.py` in the environment that needs it, so it imports nothing of ours.
Its functions are named like the tasks (`varprop.bench.tasks`) and give a callable that runs
`trials` networks.
"""
