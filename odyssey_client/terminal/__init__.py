"""What the commands of both packages share: text, tables and progress on terminals, and groups of commands.

`rich` lays out tables and draws bars. It takes 0.1 s to import, so modules import it when the first one is shown.
"""
