"""From a suite to rows: plan, cells, judge."""
