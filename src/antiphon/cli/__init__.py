"""The `antiphon` command. Each subcommand is a module of this package, registered here."""

import typer

from antiphon.cli.bench import bench_app
from antiphon.cli.config import config_app
from antiphon.cli.doctor import doctor
from antiphon.cli.init import init
from antiphon.cli.models import models_app
from antiphon.cli.serve import serve
from antiphon.cli.transcribe import transcribe

app = typer.Typer(
    name="antiphon",
    help="A realtime voice server that speaks the OpenAI Realtime protocol on models of your choice.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # locals may hold keys
)
app.command()(serve)
app.command()(transcribe)
app.add_typer(bench_app)
app.command()(init)
app.add_typer(config_app)
app.command()(doctor)
app.add_typer(models_app)
