"""`antiphon bench`: measures servers that speak the Realtime protocol."""

from importlib.util import find_spec

import typer

from antiphon.cli.bench.accuracy import accuracy
from antiphon.cli.bench.bargein import bargein
from antiphon.cli.bench.latency import latency
from antiphon.cli.bench.sessions import sessions
from antiphon.cli.bench.turns import turns

bench_app = typer.Typer(
    name="bench",
    help=(
        "Measure a server with real recordings at real-time pace.\n\n"
        "Without `--url` a server is started, measured and stopped. With it, any server that speaks the Realtime "
        "protocol is measured in the same way."
    ),
    no_args_is_help=True,
)


@bench_app.callback()
def check_packages() -> None:
    """Stop with advice when the extra `bench` is not installed."""
    missing = [name for name in ("jiwer", "psutil", "whisper_normalizer") if find_spec(name) is None]
    if missing:
        typer.echo(f"antiphon bench needs {', '.join(missing)}. Try: pip install 'antiphon[bench]'", err=True)
        raise typer.Exit(1)


for _command in (latency, accuracy, turns, bargein, sessions):
    bench_app.command()(_command)
