"""Composition root: builds a running gateway, or what a command needs, from the settings.

This is the only package that knows all others. It opens and closes every resource and owns all background
work; what it builds gets everything it needs as arguments.
"""
