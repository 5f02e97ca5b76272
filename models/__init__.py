"""Network definitions; the shipped weights and their cards lie beside them. Torch only."""

if __name__ == "models":
    raise ImportError("this is bench.models: import it by that name, or leave the checkout's root")
