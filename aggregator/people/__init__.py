"""Who may come in: users, their sessions, tokens for programs, and what each of them reaches."""
