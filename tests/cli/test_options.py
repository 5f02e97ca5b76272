"""Options that several commands share."""

import os

import click
import pytest
from click.testing import CliRunner

from bench.cli.options import device_option


@click.command()
@device_option
def command(device):
    click.echo(f"{device} {os.environ.get('CUDA_VISIBLE_DEVICES')}")


def sees(monkeypatch, gpus):
    monkeypatch.setenv(
        "CUDA_VISIBLE_DEVICES", gpus or ""
    )  # what the command sets is undone with it
    if gpus is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("words", "seen", "said"),
    [
        ([], None, "auto None"),
        (["cpu"], None, "cpu None"),
        (["cuda"], "2,5", "cuda 2,5"),
        (["cuda:1"], None, "cuda 1"),
        (["cuda:0,cuda:3"], None, "cuda 0,3"),
        (["cuda:1"], "2,5", "cuda 5"),
    ],
)
def test_gpus_that_are_named_are_the_only_ones_that_are_seen(monkeypatch, words, seen, said):
    sees(monkeypatch, seen)
    done = CliRunner().invoke(command, [word for value in words for word in ("--device", value)])
    assert done.output.strip() == said


@pytest.mark.parametrize(
    ("named", "seen", "why"),
    [
        ("gpu", None, "write auto, cpu, cuda, or GPUs such as cuda:0,cuda:1"),
        ("cuda:x", None, "write auto, cpu, cuda"),
        ("cuda:0,cuda:0", None, "write auto, cpu, cuda"),
        ("cuda:2", "2,5", "cuda:2: CUDA_VISIBLE_DEVICES has 2, counted from 0"),
    ],
)
def test_devices_that_cannot_be_are_refused(monkeypatch, named, seen, why):
    sees(monkeypatch, seen)
    done = CliRunner().invoke(command, ["--device", named])
    assert done.exit_code == 2
    assert why in done.output
