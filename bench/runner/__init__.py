"""From a suite to rows: plan, cells, judge.

Not named `run`, since importing `bench.run` would replace the public function of that name.
"""
