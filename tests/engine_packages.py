"""Engines of third parties, as if their package was installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install_engines(site: Path, package: str, engines: Mapping[str, str], source: str | None = None) -> None:
    """Put a package into a directory of the module search path.

    Args:
        site: the directory; it must be there.
        package: name of the package, and of its module.
        engines: entry points, "module:class" by the engine's name.
        source: of the module; None for engines that are in modules of their own.
    """
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in engines.items()]
    (info / "entry_points.txt").write_text("\n".join(["[antiphon.engines]", *lines]))
    if source is not None:
        (site / f"{package}.py").write_text(source)
