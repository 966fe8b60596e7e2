"""Takes a reasoning model's thoughts out of its text, before anything else sees them. Pure."""

from __future__ import annotations

import re

# How the blocks begin, and with what each may end. The first rows are most models' (DeepSeek-R1, Qwen3, Mistral's
# Magistral, ByteDance's Seed, Kimi, Cohere's Command A); then OpenAI's harmony format and Google's Gemma.
_BLOCKS: dict[str, tuple[str, ...]] = {
    "<think>": ("</think>",),
    "<thinking>": ("</thinking>",),
    "<thought>": ("</thought>",),
    "<reasoning>": ("</reasoning>",),
    "<reflection>": ("</reflection>",),
    "<scratchpad>": ("</scratchpad>",),
    "[think]": ("[/think]",),
    "<seed:think>": ("</seed:think>",),
    "◁think▷": ("◁/think▷",),
    "<|start_thinking|>": ("<|end_thinking|>",),
    "<|begin_of_thought|>": ("<|end_of_thought|>",),
    "<|channel|>analysis": ("<|end|>", "<|channel|>final<|message|>"),
    "<|channel>thought": ("<channel|>",),
}
_CLOSERS = tuple(dict.fromkeys(tag for tags in _BLOCKS.values() for tag in tags))
_MARKS = (
    *_CLOSERS,
    "<|start|>assistant",
    "<|channel|>commentary<|message|>",
    "<|return|>",
    "<|start_response|>",
    "<|end_response|>",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
)
"""What is dropped and nothing else: marks around the answer, and the end of a block whose beginning never came."""

_TAG_STARTS = re.compile(r"[<\[◁]")
_LONGEST_CLOSER = max(map(len, _CLOSERS))


class ReasoningFilter:
    """Drops reasoning blocks (`<think>…</think>` and its like) from text that comes in pieces of any size.

    What comes out does not depend on the pieces. A block that is never closed is dropped to its end. Of one that was
    never opened only the tag is dropped: the text before it is already said. A tag right after a backtick is only
    talked about, and stays.
    """

    def __init__(self) -> None:
        self._held = ""
        self._last = ""  # the last character given out
        self._closers: tuple[str, ...] = ()  # the tags that end the block that we are in
        self._trim = False  # a tag has just ended: the space after it goes with it

    def feed(self, text: str) -> str:
        """Take more text and return what of it is the reply's."""
        self._held += text
        kept = ""
        while self._held:
            if self._closers:
                if not self._skip_block():
                    break
            elif self._trim:
                self._held = self._held.lstrip() if not self._last or self._last.isspace() else self._held
                self._trim = not self._held
            elif not self._last and self._held.isspace():
                break  # if a block follows, the space before it goes with it
            else:
                at, tag = self._find_tag()
                if self._last or not self._held[:at].isspace():
                    kept += self._keep(at)
                    at = 0
                if tag is None:
                    break
                self._held = self._held[at + len(tag) :]
                self._closers = _BLOCKS.get(tag, ())
                self._trim = not self._closers
        return kept

    def flush(self) -> str:
        """Return what was held back in case it began a tag: no more text is coming soon."""
        if self._closers:
            self._held = ""
        return self._keep(len(self._held))

    def _keep(self, length: int) -> str:
        kept, self._held = self._held[:length], self._held[length:]
        self._last = kept[-1:] or self._last
        return kept

    def _find_tag(self) -> tuple[int, str | None]:
        """Return where the first tag is and which; with None, where one may begin that is not all here yet."""
        lowered = self._held.lower()
        for match in _TAG_STARTS.finditer(lowered):
            at = match.start()
            if (self._held[at - 1] if at else self._last) == "`":
                continue
            rest = lowered[at : at + 40]
            for tag in (*_BLOCKS, *_MARKS):
                if rest.startswith(tag):
                    return at, tag
                if tag.startswith(rest):
                    return at, None
        return len(self._held), None

    def _skip_block(self) -> bool:
        """Drop what is inside the block; return whether its end was there."""
        lowered = self._held.lower()
        ends = [(at, tag) for tag in self._closers if (at := lowered.find(tag)) >= 0]
        if not ends:
            self._held = self._held[-(_LONGEST_CLOSER - 1) :]
            return False
        at, tag = min(ends)
        self._held = self._held[at + len(tag) :]
        self._closers = ()
        self._trim = True
        return True
