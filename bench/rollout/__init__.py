"""The proof: a rolling deployment under load, and under faults, never fails a call and never gives a wrong answer.

    python -m bench.rollout [--calls 1000000] [--releases 50] [--faults] [--target URL] [--seed N] [--json]

Four copies of an app, each a process of its own, call through their own release's mapping without pause, and check every answer.
Meanwhile releases are published, rolled forward one instance at a time, rolled back, retired and discarded, and ``gc --apply``
runs every second with no grace at all. docs/proof.md says what this shows and what it does not.

`contract` knows what each release must answer, `postgresql` and `mssql` the sources and how to speak to a server, `instance` is
the app, `fleet` its operator, `commands` runs procver, `story` publishes and deploys, `faults` and `proxy` disturb, `run` puts
it together.
"""
