"""Abuse rules: what a merchant's rows say against it, rule by rule, and what that withholds."""
