#!/usr/bin/env python3
"""A store with many images beside one with a single one: what orlop's own commands cost.

  bench/store.py [--orlop PROGRAM] [--many PROGRAM] [--counts 1,1000,10000] [--runs N] [--markdown FILE]

For each count a store is made (bench/many_images.c: four layers an image, three of them shared by all), and each command
is run RUNS times in it, those that change it each with an image of its own. Told are the median of wall and the least CPU (user and system: what others do to the machine only adds)
milliseconds. Then gc runs in a loop beside lists, tags and removals, and the slowest list is told.
"""
import argparse, os, resource, statistics, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))


class Store:
    def __init__(self, args, count, folder):
        self.orlop, self.count = os.path.abspath(args.orlop), count
        self.env = dict(os.environ, ORLOP_ROOT=folder + "/root", ORLOP_RUN=folder + "/run", ORLOP_DRIVER="dir")
        subprocess.run([os.path.abspath(args.many), str(count)], env=self.env, check=True)
        self.run("gc")                                     # what making it left in the log of the database is written back
        subprocess.run([self.orlop, "sync"], env=self.env, check=True)

    def run(self, *words):
        """Milliseconds of wall and CPU."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([self.orlop, *words], env=self.env, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return wall * 1e3, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def name(number):
    return f"bench.example/app-{number // 10}:{number % 10}"


def measure(store, runs):
    """command -> [(wall, cpu)]"""
    some, rows = name(store.count // 2), {}
    for run in range(runs):
        for command, words in {
            "images": ["images"],
            "images --json": ["images", "--json"],
            "inspect NAME": ["inspect", some],
            "inspect ID": ["inspect", subprocess.run([store.orlop, "images", "-q", some], env=store.env, check=True, text=True,
                                                     capture_output=True).stdout.strip()],
            "df": ["df"],
            "df -v": ["df", "-v"],
            "tag": ["tag", some, f"bench.example/new:{run}"],
            "rmi of a name": ["rmi", f"bench.example/new:{run}"],
            "gc": ["gc"],
        }.items():
            rows.setdefault(command, []).append(store.run(*words))
    # Last, because then it is gone; with a single image there is one run.
    for run in range(min(runs, store.count)):
        rows.setdefault("rmi of an image", []).append(store.run("rmi", name(store.count - 1 - run)))
        if store.count > runs:
            rows.setdefault("gc after it", []).append(store.run("gc"))
    return rows


def beside(store, seconds):
    """The slowest and the median list while gc, tag and rmi run in loops."""
    stop, failures, lists = time.monotonic() + seconds, [], []

    def loop(words_of):
        number = 0
        while time.monotonic() < stop and number < store.count // 2:
            try:
                store.run(*words_of(number))
            except subprocess.CalledProcessError as e:
                failures.append(e)
            number += 1
    threads = [threading.Thread(target=loop, args=[words]) for words in (
        lambda n: ["gc"], lambda n: ["tag", name(0), f"bench.example/beside:{n}"], lambda n: ["rmi", name(store.count // 4 + n)])]
    for thread in threads:
        thread.start()
    while time.monotonic() < stop:
        lists.append(store.run("images", "-q")[0])
    for thread in threads:
        thread.join()
    subprocess.run([store.orlop, "check", "--quick"], env=store.env, check=True, stdout=subprocess.DEVNULL)
    if failures:
        sys.exit(f"store bench: {failures[0]}")
    return max(lists), statistics.median(lists), len(lists)


def report(args, all_rows, besides, version):
    counts = list(all_rows)
    lines = ["### A store with many images\n",
             "Made by `bench/run --only store` (`bench/store.py`): milliseconds of orlop's own commands, wall (median of "
             f"{args.runs} runs) / CPU (the least), by the number of images in the store. A start of the program is part of each: `orlop version` takes "
             f"{version[0]:.1f} / {version[1]:.1f}.\n",
             "| command | " + " | ".join(f"{count:,} image{'s' if count > 1 else ''}" for count in counts) + " |",
             "|---" * (len(counts) + 1) + "|"]
    for command in dict.fromkeys(c for rows in all_rows.values() for c in rows):
        cells = []
        for count in counts:
            row = all_rows[count].get(command)
            cells.append("" if not row else f"{statistics.median(w for w, _ in row):.1f} / {min(c for _, c in row):.1f}")
        lines.append(f"| `{command}` | " + " | ".join(cells) + " |")
    lines.append("")
    for count, (slowest, median, lists) in besides.items():
        lines.append(f"With {count:,} images, while `gc`, `tag` and `rmi` run in a loop each (three processes on {os.cpu_count()} processors), "
                     f"{lists} `images -q` took {median:.0f} ms in the median and {slowest:.0f} ms at most.\n")
    return "\n".join(lines)


def put_into(path, part, text):
    """Replaces the part of a file that stands between its marks; adds it at the end where there is none."""
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    with open(path) as f:
        head, _, rest = f.read().partition(begin)
    with open(path, "w") as f:
        f.write(head.rstrip("\n") + "\n\n" + begin + text + end + rest.partition(end)[2])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--orlop", default=HERE + "/../build/release/orlop")
    p.add_argument("--many", default=HERE + "/../build/release/many_images")
    p.add_argument("--counts", default="1,1000,10000")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--markdown", help="a file whose part between the marks is replaced; it is added where there is none")
    args = p.parse_args()
    all_rows, besides = {}, {}
    for count in map(int, args.counts.split(",")):
        with tempfile.TemporaryDirectory(prefix="orlop-bench-store.", dir="/var/tmp") as folder:
            store = Store(args, count, folder)
            all_rows[count] = measure(store, args.runs)
            starts = [store.run("version") for _ in range(args.runs)]
            version = statistics.median(w for w, _ in starts), min(c for _, c in starts)
            if count >= 1000:
                besides[count] = beside(store, 5)
    text = report(args, all_rows, besides, version)
    print(text)
    if args.markdown:
        put_into(args.markdown, "store", text)


if __name__ == "__main__":
    main()
