"""Live sessions: the state machines of session and stream, the connection to one client, and the frame pump.

Most modules validate messages of clients with pydantic, which takes 0.1 s to import and to prepare. A mock without
sessions uses neither. The modules of other packages therefore import `session.py` and what it uses inside functions,
except for type checking and the routes of sessions.
"""
