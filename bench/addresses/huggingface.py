"""Files from the hub of Hugging Face: downloaded once, checked by the digests under which its cache keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bench.addresses.networks import need, sha256
from bench.data.hugging_face import why_no_answer
from bench.errors import PrerequisiteError, SpecError
from bench.registry import first_line

#: Lengths of the digests: of large files the sha256, of others git's sha1.
_SHA256, _SHA1 = 64, 40


def fetched(repository: str, names: Sequence[str]) -> Path:
    """Return the first file of some names that a repository has.

    Raises:
        SpecError: there is no such repository, or none of the files in it.
        PrerequisiteError: huggingface_hub is missing, or the file cannot be downloaded or is damaged.
    """
    for name in names:
        file = found(repository, name)
        if file is not None:
            return file
    raise SpecError(f"{repository} on Hugging Face has no file {' or '.join(names)}")


def found(repository: str, name: str) -> Path | None:
    """Return a file of a repository, from the cache if it is there; None if the repository has none of that name.

    Raises:
        SpecError: there is no such repository.
        PrerequisiteError: as in `fetched`.
    """
    need("hf", "huggingface_hub")
    from huggingface_hub import errors as hub
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache

    try:
        held = try_to_load_from_cache(repository, name)
        if held is not None and not isinstance(held, str):  # it is known that there is none
            return None
        if held is None and (why := why_no_answer(hf_hub_url(repository, name))):
            raise _cannot_be_had(repository, name, why)
        file = Path(held or hf_hub_download(repository, name))
    except hub.HFValidationError as error:
        raise SpecError(f"{repository!r} is no name on Hugging Face: write OWNER/NAME") from error
    except hub.GatedRepoError as error:
        raise PrerequisiteError(
            f"{repository} wants its terms accepted on huggingface.co first; then run: hf auth login"
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise SpecError(
            f"there is no model {repository} on Hugging Face, or it is private"
        ) from error
    except hub.RemoteEntryNotFoundError:
        return None
    except (OSError, hub.EntryNotFoundError, hub.RevisionResolutionError) as error:
        raise _cannot_be_had(repository, name, first_line(error)) from error
    _check(file)
    return file


def _cannot_be_had(repository: str, name: str, why: str) -> PrerequisiteError:
    return PrerequisiteError(
        f"{name} of {repository} is not here and cannot be downloaded ({why}); where there is a network run: "
        f"hf download {repository}, and copy its folder in ~/.cache/huggingface/hub"
    )


def _check(file: Path) -> None:
    """Raise unless the content of a file of the cache has the digest that it is called by."""
    stored = file.resolve()
    digest = stored.name
    if len(digest) == _SHA256:
        right = sha256(stored) == digest
    elif len(digest) == _SHA1:
        content = stored.read_bytes()
        right = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == digest
    else:
        return
    if not right:
        raise PrerequisiteError(
            f"{stored} is damaged: its content has another digest than its name says; to have it downloaded again, "
            f"run: rm {stored}"
        )
