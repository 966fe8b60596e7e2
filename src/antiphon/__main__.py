"""`python -m antiphon`: the command."""

from antiphon.cli import app

app()
