"""Tools and tool choice of a session or of one response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from antiphon.engines.base import NamedTool, ToolChoice
from antiphon.protocol.errors import ProtocolError, shown


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that the model may call; `parameters` is a JSON Schema object. None where nothing was given."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """Return the tool as the client gave it."""
        fields = {"description": self.description, "parameters": self.parameters}
        given = {name: value for name, value in fields.items() if value is not None}
        return {"type": "function", "name": self.name, **given}


def tools_from_wire(wire: Sequence[Mapping[str, Any]], param: str) -> tuple[FunctionTool, ...]:
    """Return the tools of a checked `tools` array found at the dotted path `param`.

    Raises:
        ProtocolError: a tool of type mcp, or two with one name.
    """
    tools: dict[str, FunctionTool] = {}
    for index, tool in enumerate(wire):
        if tool["type"] == "mcp":
            raise _mcp_refused(f"{param}[{index}].type")
        name = tool["name"]
        if name in tools:
            raise ProtocolError(
                f"Invalid '{param}[{index}].name': there is already a tool named '{name}'.",
                code="invalid_value",
                param=f"{param}[{index}].name",
            )
        tools[name] = FunctionTool(name, tool.get("description"), tool.get("parameters"))
    return tuple(tools.values())


def tool_choice_from_wire(
    wire: str | Mapping[str, Any] | None, param: str, *, current: ToolChoice, tools: Sequence[FunctionTool]
) -> ToolChoice:
    """Return the tool choice that a checked `tool_choice` at the dotted path `param` makes among `tools`.

    Without one, `current` stands, or "auto" when the function that it names is no longer there.

    Raises:
        ProtocolError: it names an MCP server or an unknown function.
    """
    names = {tool.name for tool in tools}
    if wire is None:
        return "auto" if isinstance(current, NamedTool) and current.name not in names else current
    if isinstance(wire, str):
        return cast("ToolChoice", wire)
    if wire["type"] == "mcp":
        raise _mcp_refused(f"{param}.type")
    if wire["name"] not in names:
        raise ProtocolError(
            f"Tool choice '{shown(wire['name'])}' not found in 'tools' parameter.", code="invalid_value", param=param
        )
    return NamedTool(wire["name"])


def tool_choice_wire(choice: ToolChoice) -> str | dict[str, Any]:
    """Return a tool choice as the protocol writes it."""
    return {"type": "function", "name": choice.name} if isinstance(choice, NamedTool) else choice


def _mcp_refused(param: str) -> ProtocolError:
    return ProtocolError("MCP tools are not supported by this server yet.", code="invalid_value", param=param)
