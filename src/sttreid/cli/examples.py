"""The examples at the end of a command's help."""


def examples(*commands: str) -> str:
    """The end of a command's help; the control character keeps the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])
