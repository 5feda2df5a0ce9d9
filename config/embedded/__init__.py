"""Real servers out of wheels, for whoever has no settings: PostgreSQL 18, Redis and an SMTP sink, as our own children.

They differ from a deployment's servers in who started them, and in nothing else.
"""
