#!/usr/bin/env python3
"""Lazy pulls over a slow link: beside eager ones, and beside stargz-snapshotter.

  bench/lazy.py --registry HOST:PORT --link HOST:PORT --control HOST:PORT --orlop PROGRAM --reads PROGRAM
                [--images node,python-ml] [--only stargz,…] [--runs N] [--parts start,read] [--markdown FILE --plot FILE]

The link (tests/shape) has a round trip of RTT ms and carries RATE bytes a second. Told of each way to start a container (bench/tools.py,
LAZY) from an empty store on a fresh journaled ext4:

  first      seconds until the first byte that the container writes, and what came over the link until then
  complete   seconds until all of the image is here, and what came over the link in all; eager: until the pull's end

Then, from the registry itself, how fast trees are read, with cold and with warm caches (medians of 3): an eagerly pulled image, a lazily
pulled one that is complete, and what is present of ones that are not: orlop without background fill, after all was read once, and
stargz-snapshotter's.
"""
import argparse, ctypes, json, os, shlex, signal, socket, statistics, subprocess, sys, time

from bench import Tool, plot, processor
from store import put_into
from tools import LAZY, READ

HERE = os.path.dirname(os.path.abspath(__file__))
FIRST = {"node": ["node", "-e", "console.log(1)"], "python-ml": ["python3", "-c", "import numpy; print(1)"]}
READS = 20000


class Link:
    def __init__(self, control):
        self.control = control

    def tell(self, *words):
        host, port = self.control.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.sendall((" ".join(words) + "\n").encode())
            return json.loads(s.makefile().read())


def bash(tool, command, **kw):
    return subprocess.Popen(["bash", "-c", tool.text(command)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **kw)


def finish(child, what):
    words = child.stderr.read().decode(errors="replace").strip()
    if child.wait():
        raise RuntimeError(f"{what}: exit {child.returncode}: {words[-400:]}")


def start(tool, image, link):
    """One start of a container from nothing."""
    spec, row = tool.spec, {}
    os.sync()
    link.tell("reset=1")
    begin = time.monotonic()
    if "pull" in spec:
        finish(bash(tool, spec["pull"], stdout=subprocess.DEVNULL), "pull")
        if spec.get("eager"):
            row["complete"] = time.monotonic() - begin
    child = bash(tool, spec["run"].replace("{cmd}", shlex.join(FIRST[image])), stdout=subprocess.PIPE)
    byte = child.stdout.read(1)
    row["first"] = time.monotonic() - begin
    counts = link.tell()
    child.stdout.read()
    finish(child, "run")
    if byte != b"1":
        raise RuntimeError("run: it wrote nothing")
    row |= {"requests": counts["requests"], "bytes": counts["bytes"]}
    if "wait" in spec:
        finish(bash(tool, spec["wait"], stdout=subprocess.DEVNULL), "wait")
        row["complete"] = time.monotonic() - begin
    if "complete" in row:
        counts = link.tell()
        row |= {"all_requests": counts["requests"], "all_bytes": counts["bytes"]}
    return row


def record_starts(args, record):
    for image in args.images.split(","):
        for name, spec in usable(LAZY, args, record):
            if "record" not in spec:
                continue
            tool = Tool(name, spec, args, f"{image}:{spec['tag']}")
            try:
                tool.start()
                finish(bash(tool, spec["record"].replace("{{cmd}}", shlex.join(FIRST[image])), stdout=subprocess.DEVNULL), "record")
            finally:
                tool.close()


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3\n")


def timed(words):
    begin = time.monotonic()
    done = subprocess.run(words, stdout=subprocess.PIPE if words[-1] == "1" else subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.strip()[-300:]}")
    return float(done.stdout) if words[-1] == "1" else time.monotonic() - begin


def read_tree(tree, reads):
    """(test, cache) -> seconds; tar writes to a pipe, as it reads nothing for /dev/null."""
    ways = {"find": ["find", tree, "-printf", "%s %m"], "tar c": ["bash", "-c", f"set -o pipefail; tar c -C {shlex.quote(tree)} . | cat"],
            "random 4 KiB": [reads, tree, str(READS), "1"]}
    rows = {}
    for _ in range(3):
        for test, words in ways.items():
            drop_caches()
            for cache in ("cold", "warm"):
                rows.setdefault((test, cache), []).append(timed(words))
    return {key: statistics.median(values) for key, values in rows.items()}


class Trees:
    """The same image as different tools show it, all at the same time."""

    def __init__(self, args, image):
        self.args, self.image, self.tools, self.rows = args, image, {}, {}

    def add(self, name, spec, record):
        tool = Tool(name, spec, self.args, f"{self.image}:{spec['tag']}")
        tree = tool.disk.path + "/tree"
        try:
            tool.start()
            finish(bash(tool, spec["pull"], stdout=subprocess.DEVNULL), "pull")
            os.mkdir(tree)
            finish(bash(tool, spec["mount"].replace("{{tree}}", tree), stdout=subprocess.DEVNULL), "mount")
            timed(["bash", "-c", f"tar c -C {tree} . | cat"])          # now all of it is there
            self.rows[name] = read_tree(tree, self.args.reads)
        except RuntimeError as e:
            record(test="failure", tool=name, image=self.image, text=str(e))
        finally:
            if "umount" in spec:
                subprocess.run(["bash", "-c", tool.text(spec["umount"]).replace("{tree}", tree)], capture_output=True)
            tool.close()


# ---- report --------------------------------------------------------------
def start_table(image, rows):
    eager, stargz = rows.get(("orlop", image)), rows.get(("stargz", image))
    lines = [f"\n#### {image}: `{shlex.join(FIRST[image])}`\n",
             "| | first output s | × eager | × stargz | requests | MB | complete s | × eager | requests | MB |", "|---" * 10 + "|"]
    ratio = lambda a, b, key: f"{a[key] / b[key]:.2f}" if b and key in a and key in b else ""
    for (tool, of), row in rows.items():
        if of != image:
            continue
        own = rows.get((LAZY[tool].get("beside"), image), eager)
        rest = f"{row['complete']:.1f} | {ratio(row, own, 'complete')} | {row['all_requests']:.0f} | {row['all_bytes'] / 1e6:.1f}" \
            if "complete" in row else " | | | "
        lines.append(f"| {tool} | {row['first']:.2f} | {ratio(row, eager, 'first')} | {ratio(row, stargz, 'first')} | {row['requests']:.0f} | "
                     f"{row['bytes'] / 1e6:.1f} | {rest} |")
    return lines


def read_table(image, rows):
    keys = list(next(iter(rows.values())))
    lines = [f"\n#### Reading {image}, seconds\n", "| | " + " | ".join(f"{test}, {cache}" for test, cache in keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[key]:.2f}" for key in keys) + " |")
    for above, under, words in (("eager", "complete", "eager / complete (throughput of a complete lazy layer, of an eager one's)"),
                                ("stargz", "filling", "stargz / filling (throughput of what is present, of stargz-snapshotter's)")):
        if above in rows and under in rows:
            lines.append(f"| *{words}* | " + " | ".join(f"{rows[above][key] / rows[under][key]:.2f}" for key in keys) + " |")
    return lines


def medians(found):
    """(tool, image) -> the medians of its runs"""
    return {key: {k: statistics.median(r[k] for r in rs) for k in rs[0]} for key, rs in found.items()}


def report(args, starts, reads, notes, shape):
    lines = ["### Lazy pulls over a slow link\n",
             "Made by `bench/run --only lazy` (`bench/lazy.py` says what is measured and how).\n",
             f"{processor()}; Linux {os.uname().release}; {time.strftime('%Y-%m-%d')}; {shape}; medians of {args.runs} "
             f"run{'s' if args.runs > 1 else ''}.\n", "![first output](benchmarks-lazy.svg)"]
    for image in dict.fromkeys(image for _, image in starts):
        lines += start_table(image, starts)
    for image, rows in reads.items():
        if rows:
            lines += read_table(image, rows)
    if notes:
        lines += ["\nLeft out:\n"] + [f"- {n['tool']}, {n.get('image', '')}: {n['text']}" for n in notes]
    return "\n".join(lines) + "\n"


def usable(table, args, record):
    for name, spec in table.items():
        if args.only and name not in args.only.split(","):
            continue
        missing = [n for n in spec.get("needs", []) if subprocess.run(["bash", "-c", f"command -v {n.format()}"], stdout=subprocess.DEVNULL).returncode]
        if missing:
            record(test="skipped", tool=name, text="needs " + ", ".join(missing))
        else:
            yield name, spec


def run_starts(args, record):
    link, found = Link(args.control), {}
    record_starts(args, record)
    args.registry, direct = args.link, args.registry
    for image in args.images.split(","):
        for _ in range(args.runs):
            for name, spec in usable(LAZY, args, record):
                tool = Tool(name, spec, args, f"{image}:{spec['tag']}")
                try:
                    tool.start()
                    row = start(tool, image, link)
                    found.setdefault((name, image), []).append(row)
                    record(test="start", tool=name, image=image, **row)
                except RuntimeError as e:
                    record(test="failure", tool=name, image=image, text=str(e))
                finally:
                    tool.close()
    args.registry = direct
    return medians(found)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("registry", "link", "control", "orlop", "reads"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--shape", default="", help="what the link is like, for the report")
    p.add_argument("--images", default="node,python-ml")
    p.add_argument("--only", default="", help="what is started or read")
    p.add_argument("--runs", type=int, default=1)
    p.add_argument("--parts", default="start,read")
    p.add_argument("--out", default="lazy.jsonl")
    p.add_argument("--markdown", help="a file whose part between the marks is replaced; it is added where there is none")
    p.add_argument("--plot")
    args = p.parse_args()
    if ctypes.CDLL(None).prctl(36, 1, 0, 0, 0):           # PR_SET_CHILD_SUBREAPER: holders and shims come to us
        sys.exit("bench: cannot become a subreaper")
    args.orlop, args.reads = os.path.abspath(args.orlop), os.path.abspath(args.reads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    notes = []
    out = open(args.out, "w")

    def record(**row):
        out.write(json.dumps(row) + "\n")
        out.flush()
        print(" ".join(f"{k}={v:.2f}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)
        if row["test"] in ("skipped", "failure") and row not in notes:
            notes.append(row)

    starts = run_starts(args, record) if "start" in args.parts else {}
    reads = {}
    if "read" in args.parts:
        trees = Trees(args, args.images.split(",")[0])
        for name, spec in usable(READ, args, record):
            trees.add(name, spec, record)
            record(test="read", tool=name, **{" ".join(k): v for k, v in trees.rows.get(name, {}).items()})
        reads[trees.image] = trees.rows
    text = report(args, starts, reads, notes, args.shape)
    print(text)
    if args.markdown:
        put_into(args.markdown, "lazy", text)
    if args.plot:
        data = {("pull", image, tool): {"wall": row["first"]} for (tool, image), row in starts.items()}
        plot(data, list(dict.fromkeys(i for _, i in starts)), list(LAZY), args.plot, "Seconds until the first output of a container, from nothing")


if __name__ == "__main__":
    main()
