"""Output of commands on terminals and elsewhere: text, tables and progress. Both commands of the project use it.

`rich` lays out tables and draws bars. It takes 0.1 s to import, so modules import it when the first one is shown.
"""
