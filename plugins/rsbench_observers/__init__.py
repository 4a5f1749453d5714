"""Observers that tell other tools of a run: TensorBoard, MLflow, Weights & Biases, and MLPerf-style log lines.

Each is a plugin of its own (entry points ``tensorboard``, ``mlflow``, ``wandb`` and ``mllog``) and says nothing until
it is switched on by name: ``rsbench run ... --observer tensorboard``, or ``RSBENCH_OBSERVERS=tensorboard,mllog``.
"""
