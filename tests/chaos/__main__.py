"""`bin/chaos [--seed N] [--minutes M] [--mutants]`."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time

from tests.chaos.run import CALM_SECONDS, Outcome, run
from tests.chaos.tree import MUTANTS, ROOT, Mutant

# What a mutant is given to show itself.
MUTANT_SECONDS = {"reconciler": 40.0, "fencing": 70.0, "verify": 30.0, "fsync": 25.0, "fsync-order": 25.0}


def main(arguments: list[str]) -> int:
    """0 where every invariant holds; with --mutants where none of them goes unnoticed."""
    parser = argparse.ArgumentParser(
        prog="bin/chaos", description="Break a private site, and see what it keeps."
    )
    parser.add_argument("--seed", type=int, default=None, help="what goes wrong and when; drawn if not given")
    parser.add_argument("--minutes", type=float, default=5.0, help="about how long it takes (5)")
    parser.add_argument("--runs", type=int, default=1, help="so many seeds in a row, from the given one on")
    parser.add_argument(
        "--mutants", action="store_true", help="switch off one safety measure after the other"
    )
    parser.add_argument(
        "--only", action="append", default=[], help="with --mutants: only the one of that name"
    )
    options = parser.parse_args(arguments)
    # Told to stop, it still takes its site with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    first = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    if options.mutants:
        return _mutants(first, options.only)
    outcomes = [_one(seed, options.minutes) for seed in range(first, first + options.runs)]
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _one(seed: int, minutes: float) -> Outcome:
    folder = ROOT / "var" / "chaos" / str(seed)
    say(f"seed {seed}, {minutes:g} minutes; history in {folder}")
    outcome = run(seed, max(20.0, minutes * 60 - CALM_SECONDS), folder, say)
    for verdict in outcome.verdicts:
        say(f"  {'ok  ' if not verdict.violations else 'FAIL'} {verdict.name} ({verdict.looked_at})")
        for text in verdict.violations[:20]:
            say(f"         {text}")
    hit = [point for point, count in outcome.hits.items() if count]
    missed = [point for point, count in outcome.hits.items() if not count]
    say(
        f"  crash points hit: {len(hit)} of {len(outcome.hits)}"
        + (f"; not: {', '.join(missed)}" if missed else "")
    )
    ended = "passed" if not outcome.violations else f"FAILED: {len(outcome.violations)} violations"
    say(
        f"seed {seed} {ended} ({outcome.seconds:.0f} s; "
        f"all jobs had ended {outcome.healed_after:.0f} s after the last fault)"
    )
    return outcome


def _mutants(seed: int, only: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    survivors = [mutant for mutant in chosen if not _caught(seed, mutant)]
    say(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants were caught")
    return 1 if survivors or not chosen else 0


def _caught(seed: int, mutant: Mutant) -> bool:
    began = time.monotonic()
    folder = ROOT / "var" / "chaos" / f"{seed}-{mutant.name}"
    say(f"mutant {mutant.name}: {mutant.what}")
    outcome = run(seed, MUTANT_SECONDS[mutant.name], folder, lambda _: None, mutant=mutant)
    telling = [text for text in outcome.violations if text.split()[0] in mutant.breaks]
    for text in telling[:4]:
        say(f"         {text}")
    word = "caught" if telling else "SURVIVED"
    more = len(outcome.violations) - len(telling)
    say(f"  {word} ({len(telling)} violations and {more} others, {time.monotonic() - began:.0f} s)")
    return bool(telling)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
