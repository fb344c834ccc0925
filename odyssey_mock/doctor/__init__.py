"""Checks of `odyssey-mock doctor`: whether the mock, its clients and tests of web pages can work on this machine.

Each check imports what it examines only when it runs. So the checks also work if packages are missing.
"""
