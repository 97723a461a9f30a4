"""Loss functions and penalties, pure functions of tensors.

Which loss a task uses, its section of the configuration says. Start with ``classification.py``;
``adversarial.py`` and ``penalties.py`` are those of GANs.
"""
