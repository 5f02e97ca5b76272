"""A file that adds a family of models."""

#: Each class is the mean of its images; a model with an adapter of its own, trained without gradients.
PLUGIN = """
import torch, bench
from safetensors.torch import load, save
from torch import nn

from bench.adapters.losses import per_image_loss
from bench.spec import ModelSpec, Prediction


class Means(nn.Module):
    def __init__(self):
        super().__init__()
        self.means = nn.Parameter(torch.zeros(10, 64))

    def forward(self, x):
        return -torch.cdist(x.flatten(1), self.means)


def fit(recipe, net, data, watch):
    x, y = data.images.flatten(1), data.labels
    with torch.no_grad():
        net.means.copy_(torch.stack([x[y == label].mean(0) for label in range(10)]))
    watch(Pass(), net)


class Pass:
    number = of = 1

    def line(self):
        return "one pass"


class Kept:
    def __init__(self, recipe, test):
        self.epochs = []

    def watch(self, epoch, net):
        self.epochs.append(epoch.number)

    def payload(self):
        return save({"epochs": torch.tensor(self.epochs)})


class MeansAdapter:
    def __init__(self, name, net, margin):
        self.spec = ModelSpec(name=name, family="means", data="digits", input_shape=(1, 8, 8),
                              num_classes=10)
        self.net, self.margin = net, margin

    def predict(self, x):
        scores = self.net(x).detach()
        best = scores.topk(2).values
        labels = scores.argmax(1)
        return Prediction(labels.masked_fill(best[:, 0] - best[:, 1] < self.margin, -1), scores)

    def surfaces(self):
        return {"means": self.net}

    def gradient(self, x, y, loss="ce", surface=None):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(per_image_loss(self.net(x), y, loss).sum(), x)[0]

    def fingerprint(self):
        return f"means {self.margin} {self.net.means.sum().item()!r}"

    def facts(self):
        return {"margin": self.margin}


def assemble(name, weights, options):
    net = Means()
    net.load_state_dict(load(weights.payload))
    return MeansAdapter(name, net, float(options.get("margin", 0)))


bench.register_family(bench.Family(
    name="means",
    abstaining_is_wrong=True,
    options=("margin",),
    recipes={"digits/means": bench.Recipe(
        family="means", network="means", data="digits", optimiser="none", learning_rate=0, epochs=1,
    )},
    build=lambda recipe: Means(),
    fit=fit,
    snapshots=Kept,
    read_snapshots=lambda payload: {"epochs": load(payload)["epochs"].tolist()},
    card_facts=lambda recipe, net: {"reach": float(net.means.detach().abs().max())},
    exact=("means",),
    assemble=assemble,
    surfaces=lambda recipe: ("means",),
))
"""
