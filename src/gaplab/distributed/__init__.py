"""The processes of one run: who they are, how they meet, agree and share a batch exactly.

Starting processes is the job of ``launch``. Start with ``ranks.py``, then ``process_group.py``; ``exact_ddp.py`` is
Lightning's DDP with the loss weighted by each process's share.
"""
