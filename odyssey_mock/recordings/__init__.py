"""What streams leave behind: who remembers them, and the files made of them (`protocol.md` section 6)."""
