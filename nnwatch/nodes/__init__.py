"""Several nodes, one session: each node's monitor keeps its own, and the first node's takes them all in.

The first node's monitor looks at the sessions of the others as a viewer does: it counts their frames, and goes on at
the next one after whatever broke. Its own Commit says how far it has got with each, so it may die at any moment.
They come to it (``link``), or it finds their files in a shared folder (``folder``). NODES.md says how it works.
"""
