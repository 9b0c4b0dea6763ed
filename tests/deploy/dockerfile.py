"""Reads deploy/Dockerfile by instruction."""

from tests.deploy.files import DOCKERFILE


def instructions(word: str) -> list[str]:
    """What follows each instruction `word`, with continued lines joined."""
    lines = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line.removeprefix(word).strip() for line in lines if line.startswith(f"{word} ")]
