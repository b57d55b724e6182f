"""What the policy costs on Open Policy Agent, Gatekeeper's engine: `rego/run-tests.sh bench`, the last part of `make bench`.

For each template the processor time of one review of so many images that are all admitted, and of so many that are all denied,
whichever takes longer: the median of several. Then the slowest of four reviews at once, in processes of their own, by the clock. The
provider's answer is at hand, so this is the policy's part of a review; docs/limits.md has the arithmetic.
"""

import argparse
import concurrent.futures
import multiprocessing
import statistics
import time

from engine import TEMPLATES, pod
from matrix import FITTING
from opa import OpenPolicyAgent
from test_time import answers, images

COUNTS = [1, 30, 100, 300, 1000]
# Of one review of a hundred images, as many as one may have: a tenth of the webhook's three seconds.
GOAL = 300


def reviews(template, count, rounds, clock=time.process_time):
    """Milliseconds of each review; the dearer of the two kinds."""
    agent = OpenPolicyAgent(template)
    document = agent.prepare(pod(*images(count)), {**FITTING[template]["parameters"], "maximumImages": 1000})
    kinds = []
    for kind in ["admitted", "denied"]:
        response, times = answers(template, count)[kind], []
        agent.evaluate(document, response)
        for _ in range(rounds):
            start = clock()
            agent.evaluate(document, response)
            times.append(1000 * (clock() - start))
        kinds.append(times)
    return max(kinds, key=statistics.median)


def main():
    parser = argparse.ArgumentParser(description="Measure what the policy costs on Gatekeeper's engine.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 3 if parser.parse_args().quick else 15
    print("\nThe policy on Open Policy Agent, ms of processor time a review (median), by different images; ×4: four reviews of 100 at once, the slowest by the clock\n")
    print("| template | " + " | ".join(map(str, COUNTS)) + " | 100 ×4 |")
    print("|---|" + "---|" * (len(COUNTS) + 1))
    worst = 0
    context = multiprocessing.get_context("spawn")
    for template in TEMPLATES:
        alone = [statistics.median(reviews(template, count, rounds)) for count in COUNTS]
        with concurrent.futures.ProcessPoolExecutor(4, mp_context=context) as pool:
            together = max(max(times) for times in pool.map(reviews, [template] * 4, [100] * 4, [rounds] * 4, [time.perf_counter] * 4))
        worst = max(worst, alone[COUNTS.index(100)])
        print(f"| {template} | " + " | ".join(f"{value:.1f}" for value in [*alone, together]) + " |", flush=True)
    print(f"\n100 images: {worst:.0f} ms at most; goal {GOAL} ms: {'yes' if worst <= GOAL else 'NO'}")


if __name__ == "__main__":
    main()
