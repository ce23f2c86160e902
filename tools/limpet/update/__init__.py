"""Room for `limpet update`: bundles of byte code, signed, sent to nodes in stages, and followed
until each node has confirmed or gone back.

It may import operating, boards, and all below them. Nothing is here yet.
"""
