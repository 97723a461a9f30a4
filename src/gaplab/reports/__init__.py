"""Tables, pages and summaries, made from run directories alone.

Nothing here trains; every number comes from a file of a run. Start with ``run_report.py`` and
``sweep_report.py``; ``score_tables.py`` is the one table of scores that terminal, card and page show.
"""
