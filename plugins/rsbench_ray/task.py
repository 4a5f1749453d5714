"""The body of a Ray task.  It travels to its node as code, so that it can tell of an rsbench there that is another."""

from __future__ import annotations

from typing import Any


def on_node(version: str, work: bytes, mailbox: Any = None) -> tuple[str, list[str], list[Any]]:
    """Do work on this node if it has what that needs.

    Args:
        version: that of rsbench where the command was given.
        work: pickled: what runs need (``ray_node.Needs``), and a function with its arguments, or
            ``None``; *mailbox* is added to these.

    Returns:
        The node's id, what it lacks in a sentence each, and what the function has returned.
    """
    import pickle
    import socket

    import ray

    node, name = ray.get_runtime_context().get_node_id(), f"Ray node {socket.gethostname()}"
    try:
        from rsbench import __version__ as installed

        if installed != version:
            text = f"{name} has rsbench {installed}, not {version}; install the same version there."
            return node, [text], []
        from rsbench_ray.node import lacks

        needs, function, arguments = pickle.loads(work)
        problems = lacks(needs)
    except Exception as error:
        return node, [f"{name} cannot run rsbench {version}; install it there ({type(error).__name__}: {error})."], []
    return node, problems, [] if problems or function is None else function(*arguments, mailbox)
