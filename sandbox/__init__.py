"""An upstream simulator: speaks the vendors' wire formats, edits with Pillow, plays faults.

It is no part of the gateway and never used unless asked for or no provider key is set.
"""
