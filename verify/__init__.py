"""Campaigns that try to break varprop: ``python -m verify`` runs all, ``verify.NAME`` one.

Each prints what it tried and how often, and exits with an error if anything gave way. The short
forms of the same functions are part of the tests; docs/how-it-is-tested.md has the figures.
"""
