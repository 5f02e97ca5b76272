"""Adapters: one file a model family, each behind the interface of `bench.spec.Adapter`."""

if __name__ == "adapters":
    raise ImportError(
        "this is bench.adapters: import it by that name, or leave the checkout's root"
    )
