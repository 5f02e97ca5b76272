"""The plain networks of the standard suites.

`six_convs` and `three_blocks` follow the descriptions in the deep-metric-learning study: one trunk
that ends in features, and a head on top whose outputs are logits, or the dimensions of an embedding.
Inputs are already normalised images.
"""

from __future__ import annotations

from torch import nn


def _conv(c_in: int, c_out: int, kernel: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(c_in, c_out, kernel, stride, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(c_out),
    ]


def six_convs_trunk(width: int = 24, dropout: float = 0.1) -> nn.Sequential:
    """Return the trunk for 28x28 grey images: six convolutions in two blocks, no pooling.

    ReLU then batch norm after each convolution, dropout after each block; (N, 1, 28, 28) to
    (N, 72 * width).
    """
    return nn.Sequential(
        *_conv(1, width, 3, 1),
        *_conv(width, width, 3, 1),
        *_conv(width, width, 5, 2),
        nn.Dropout(dropout),
        *_conv(width, 2 * width, 3, 1),
        *_conv(2 * width, 2 * width, 3, 1),
        *_conv(2 * width, 2 * width, 5, 2),
        nn.Dropout(dropout),
        nn.Flatten(),
    )


def six_convs(outputs: int = 10, width: int = 24) -> nn.Sequential:
    """Return the classifier for MNIST and Fashion-MNIST: (N, 1, 28, 28) to (N, outputs)."""
    return nn.Sequential(
        six_convs_trunk(width),
        nn.Sequential(
            nn.Linear(72 * width, 4 * width),
            nn.ReLU(inplace=True),
            nn.Linear(4 * width, outputs),
        ),
    )


def slim_six_convs(outputs: int = 10) -> nn.Sequential:
    """Return `six_convs` of two thirds the width."""
    return six_convs(outputs, width=16)


def _block(c_in: int, c_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(c_in, c_out, 3, padding=1),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(c_out, c_out, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    ]


def three_blocks_trunk(widths: tuple[int, int, int] = (32, 64, 128)) -> nn.Sequential:
    """Return the trunk for 32x32 colour images: (N, 3, 32, 32) to (N, 16 * widths[2])."""
    first, second, third = widths
    return nn.Sequential(
        *_block(3, first), *_block(first, second), *_block(second, third), nn.Flatten()
    )


def three_blocks(outputs: int = 10, widths: tuple[int, int, int] = (32, 64, 128)) -> nn.Sequential:
    """Return the classifier for CIFAR-10: (N, 3, 32, 32) to (N, outputs)."""
    hidden = 2 * widths[2]
    return nn.Sequential(
        three_blocks_trunk(widths),
        nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(16 * widths[2], hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(inplace=True),
            nn.Dropout(0.1),
            nn.Linear(hidden // 2, outputs),
        ),
    )


def slim_three_blocks(outputs: int = 10) -> nn.Sequential:
    """Return `three_blocks` of three quarters the width."""
    return three_blocks(outputs, (24, 48, 96))


def strided_stages(outputs: int = 10) -> nn.Sequential:
    """Return a small classifier for CIFAR-10, (N, 3, 32, 32) to (N, outputs): widths 16, 32, 64.

    Two convolutions a stage, each with batch norm, the second of stride 2 in place of pooling: at
    half the cost of a step of `three_blocks` of those widths, for training under attack.
    """
    stages: list[nn.Module] = []
    for c_in, c_out in ((3, 16), (16, 32), (32, 64)):
        for channels, stride in ((c_in, 1), (c_out, 2)):
            stages += [
                nn.Conv2d(channels, c_out, 3, stride, padding=1),
                nn.BatchNorm2d(c_out),
                nn.ReLU(inplace=True),
            ]
    return nn.Sequential(
        nn.Sequential(*stages, nn.Flatten()),
        nn.Sequential(
            nn.Linear(16 * 64, 128),
            nn.ReLU(inplace=True),
            nn.Linear(128, outputs),
        ),
    )


def two_strided_convs(outputs: int = 10) -> nn.Sequential:
    """Return the small classifier for MNIST of Wong and Kolter (2018): (N, 1, 28, 28) to (N, outputs)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100),
        nn.ReLU(inplace=True),
        nn.Linear(100, outputs),
    )


def digits_cnn(outputs: int = 10) -> nn.Sequential:
    """Return a small convolutional classifier for 8x8 digits: (N, 1, 8, 8) to (N, outputs)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(32 * 16, 64),
        nn.ReLU(inplace=True),
        nn.Linear(64, outputs),
    )


def digits_mlp(outputs: int = 10) -> nn.Sequential:
    """Return a two-layer perceptron for 8x8 digits: (N, 1, 8, 8) to (N, outputs)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(inplace=True),
        nn.Linear(128, outputs),
    )
