"""A suite of one small network and four attacks, that runs in a second or two."""

import build

SUITE = build.suite(
    title="Tiny",
    images=30,
    models=["digits/mlp"],
    attacks=[
        {"name": "fgsm", "norm": "linf", "eps": ["0.1", "0.2"]},
        {"name": "pgd", "norm": "linf", "eps": "0.1", "steps": 10, "toolkits": ["torchattacks"]},
        {"name": "deepfool", "norm": "l2", "steps": 10, "toolkits": ["foolbox"]},
        {"name": "noise", "norm": "linf", "eps": "0.2", "toolkits": ["native"]},
    ],
)
