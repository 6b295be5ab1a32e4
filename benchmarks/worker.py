"""Runs contenders in an environment of their own: a request and an answer a line, in JSON.

    {"make": [module, function, {arguments}]}  ->  {"made": n}
    {"call": n, "value": false, "times": 1}    ->  {"seconds": t, "value": null}
    {"versions": module}                       ->  {"versions": {package: version}}

Whatever goes wrong is answered as {"error": text}. Started by `workers.py`.
"""

import importlib
import json
import os
import sys
import time
import traceback
from importlib import metadata


def answer(request, made):
    if "make" in request:
        module, function, arguments = request["make"]
        made.append(getattr(importlib.import_module(module), function)(**arguments))
        return {"made": len(made) - 1}
    if "call" in request:
        start = time.perf_counter()
        for _ in range(request.get("times", 1)):
            value = made[request["call"]]()
        taken = time.perf_counter() - start
        return {"seconds": taken, "value": plain(value) if request["value"] else None}
    packages = getattr(importlib.import_module(request["versions"]), "PACKAGES", ())
    return {"versions": {name: metadata.version(name) for name in packages}}


def plain(value):
    """Arrays of any library as lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def main():
    # what contenders print is not an answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    made = []
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), made)
        except Exception:
            reply = {"error": traceback.format_exc()}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
