"""A model and an attack of your own: change them, or take out what you do not need.

Commands run this file where they are given `--plugin my_plugin.py`.
"""

import torch
from torch import nn
from torch.nn import functional as F

import bench


# The name of the model in suites and commands, and the data set it classifies: `bench ls datasets`.
@bench.register_model("my-model", data="digits")
def my_model():
    """Return the model. To use one of your own, put it and its weights in place of the training.

    net.load_state_dict(torch.load("my_weights.pt", weights_only=True))
    """
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    x, y = bench.load_data("digits", split="train")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    # Images are in [0, 1]. If the network wants them normalised, add mean=(...) and std=(...).
    return bench.wrap(net, num_classes=10, input_shape=(1, 8, 8))


# The norms that the attack is for. `access="score"` or `access="decision"` is for attacks that need no
# gradient, and `kind="minimal"` for those that look for the nearest image, without eps.
@bench.register_attack("my-attack", norms=["linf"])
def my_attack(model, x, y, eps, steps=40, step_size="eps/4"):
    """Signed steps along the gradient of the margin, from a random start.

    Args:
        model: gives logits (N, classes) of images; gradients flow through it, and its passes are counted.
        x: images, float32 (N, C, H, W) in [0, 1], that the model gets right.
        y: their labels, int64 (N,).
        eps: the radius, as a number.
        steps: a parameter of the attack. A suite can set it, since it has a default.
        step_size: another one, here in proportion to eps. It arrives as a number.

    Returns:
        The images tried. Whether they fool the model within eps is judged afterwards.
    """
    x_adv = (x + eps * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    for _ in range(steps):
        x_adv.requires_grad_()
        logits = model(x_adv)
        true = logits.gather(1, y[:, None]).squeeze(1)
        best_other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
        (gradient,) = torch.autograd.grad((best_other - true).sum(), x_adv)
        x_adv = x_adv.detach() + step_size * gradient.sign()
        x_adv = torch.minimum(torch.maximum(x_adv, x - eps), x + eps).clamp(0, 1)
    return x_adv
