"""An attack on models whose gradients lie: a cascade on the images that withstood what came before."""

from bench.attacks.native.adaptive.cascade import Adaptive, adaptive

__all__ = ["Adaptive", "adaptive"]
