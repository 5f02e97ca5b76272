"""Repositories in the cache of huggingface_hub, as a download leaves them there."""

import hashlib
from pathlib import Path

_REVISION = "0" * 40


def add(cache: Path, repository: str, files: dict[str, bytes]) -> None:
    """Add a repository with its files to a cache."""
    root = cache / f"models--{repository.replace('/', '--')}"
    for folder in ("refs", "blobs", f"snapshots/{_REVISION}"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(_REVISION)
    for name, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        (root / "blobs" / digest).write_bytes(content)
        link = root / "snapshots" / _REVISION / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("../../blobs") / digest)


def blobs(cache: Path) -> list[Path]:
    """Return the stored contents."""
    return sorted(cache.glob("models--*/blobs/*"))
