#!/usr/bin/env python3
"""bench: orlop beside the established tools, on the same images, in one run.

  bench.py run    --registry HOST:PORT --orlop PROGRAM --bound PROGRAM --images DIR [--only a,b] [--refs node:latest,…] [--load …]
                  [--runs N] [--out results.jsonl]
  bench.py report results.jsonl --markdown docs/benchmarks.md --plot docs/benchmarks.svg

Each measurement is a cold pull (from nothing to a snapshot that can be mounted), or a load of the same image from a docker-archive on standard
input, onto a journaled ext4 of its own, freshly made in a file and mounted by loop. orlop loads under `ulimit -v 262144` (256 MiB of address space). Tools take turns, so that a busy spell of the machine hits all alike. Measured, for the command, its daemons and all that
either starts:

  wall  seconds until the command returns
  cpu   user + system seconds until the last process it left behind (such as orlop's syncing child) has ended
  rss   MB, the highest sum of resident memory, sampled every 20 ms
"""
import argparse, ctypes, json, os, platform, resource, shlex, signal, statistics, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
REFS = "debian:latest,node:latest,python-ml:latest,manylayers:latest"
FIRST_WORD = {"node": ["node", "-e", "console.log(1)"], "python-ml": ["python3", "-c", "print(1)"]}


# ---- processes ----------------------------------------------------------
def processes():
    """pid -> (parent, cpu seconds with waited-for children, resident bytes)"""
    table = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat", "rb") as f:
                    fields = f.read().rpartition(b")")[2].split()
            except OSError:
                continue
            table[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICK, int(fields[21]) * PAGE)
    return table


def below(table, top):
    children = {}
    for pid, row in table.items():
        children.setdefault(row[0], []).append(pid)
    todo, seen = list(children.get(top, [])), set()
    while todo:
        pid = todo.pop()
        if pid not in seen:
            seen.add(pid)
            todo += children.get(pid, [])
    return seen


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def cpu_so_far():
    table = processes()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + sum(table[pid][1] for pid in below(table, os.getpid()))


# ---- a file system of its own for each measurement -----------------------
class FreshDisk:
    def __init__(self, size="24G"):
        self.top = tempfile.mkdtemp(prefix="orlop-bench.", dir="/var/tmp")
        self.image, self.path = self.top + "/disk", self.top + "/mnt"
        os.mkdir(self.path)
        subprocess.run(["truncate", "-s", size, self.image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-N", "2000000", self.image], check=True)
        subprocess.run(["mount", "-o", "loop,nodiscard", self.image, self.path], check=True)

    def close(self):
        with open("/proc/self/mounts") as f:
            mounts = [line.split()[1] for line in f if line.split()[1].startswith(self.path + "/")]
        for mount in reversed(mounts):
            subprocess.run(["umount", "-l", mount], stderr=subprocess.DEVNULL)
        for _ in range(50):
            if subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "-l", self.path])
        subprocess.run(["rm", "-rf", "--one-file-system", self.top])


class Tool:
    def __init__(self, name, spec, args, ref):
        self.name, self.spec, self.args, self.ref = name, spec, args, ref
        self.disk = FreshDisk()
        self.w, self.daemons = self.disk.path + "/w", []
        os.mkdir(self.w)

    def text(self, template, cmd=()):
        image, _, tag = self.ref.partition(":")
        return template.format(reg=self.args.registry, ref=f"{self.args.registry}/{self.ref}", image=image, tag=tag, w=self.w,
                               id=f"b{time.monotonic_ns()}", cmd=shlex.join(cmd), orlop=self.args.orlop)

    def start(self):
        for name, text in self.spec.get("files", {}).items():
            path = f"{self.w}/{self.text(name)}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(self.text(text))
        for command, ready in self.spec.get("daemons", []):
            with open(self.disk.top + "/daemon.log", "ab") as log:
                self.daemons.append(subprocess.Popen(["bash", "-c", "exec " + self.text(command)], stdin=subprocess.DEVNULL,
                                                     stdout=log, stderr=log, start_new_session=True).pid)
            for _ in range(200):
                if subprocess.run(["bash", "-c", self.text(ready)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError(f"{command.split()[0]} does not get ready: {open(self.disk.top + '/daemon.log').read()[-500:]}")

    def close(self):
        for pid in reversed(self.daemons):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
            for i in range(100):
                reap()
                if not os.path.exists(f"/proc/{pid}"):
                    break
                if i == 60:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.1)
        for pid in below(processes(), os.getpid()):     # what daemons left to us, by its pid
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)
        reap()
        self.disk.close()

    def measure(self, command, stdin=os.devnull):
        reap()
        lasting = below(processes(), os.getpid())        # the daemons and what they keep
        peak, done = [0], threading.Event()

        def sample():
            while not done.wait(0.02):
                table = processes()
                peak[0] = max(peak[0], sum(table[p][2] for p in below(table, os.getpid())))
        thread = threading.Thread(target=sample)
        thread.start()
        cpu = cpu_so_far()
        start = time.monotonic()
        with open(stdin, "rb") as given:
            child = subprocess.run(["bash", "-c", self.text(command)], stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wall = time.monotonic() - start
        done.set()
        thread.join()
        if child.returncode:
            raise RuntimeError(f"exit {child.returncode}: {child.stderr.decode(errors='replace').strip()[-400:]}")
        if not self.daemons:
            for _ in range(600):                          # a detached child counts, too
                reap()
                if not below(processes(), os.getpid()) - lasting:
                    break
                time.sleep(0.02)
        reap()
        return dict(wall=round(wall, 3), cpu=round(cpu_so_far() - cpu, 2), rss=round(peak[0] / 1e6, 1))


def processor():
    with open("/proc/cpuinfo") as f:
        text = f.read()
    model = text.split("model name", 1)[-1].split(":", 1)[-1].split("\n", 1)[0].strip()
    flags = text.split("flags", 1)[-1].split("\n", 1)[0].split()
    return f"{model}, {os.cpu_count()} processors, {'with' if 'sha_ni' in flags else 'without'} SHA instructions"


def run(args):
    if ctypes.CDLL(None).prctl(36, 1, 0, 0, 0):           # PR_SET_CHILD_SUBREAPER
        sys.exit("bench: cannot become a subreaper")
    sys.path.insert(0, HERE)
    from tools import TOOLS
    names = [n for n in TOOLS if not args.only or n in args.only.split(",")]
    out = open(args.out, "a")

    def record(**row):
        out.write(json.dumps(row) + "\n")
        out.flush()
        print(" ".join(f"{k}={v}" for k, v in row.items()), flush=True)

    record(test="machine", text=processor(), kernel=platform.release(), date=time.strftime("%Y-%m-%d"))
    for name in list(names):
        missing = [n for n in TOOLS[name].get("needs", [])
                   if subprocess.run(["bash", "-c", f"command -v {n.format()}"], stdout=subprocess.DEVNULL).returncode]
        if missing:
            record(test="skipped", tool=name, text="needs " + ", ".join(missing))
            names.remove(name)
            continue
        text = subprocess.run(["bash", "-c", TOOLS[name]["version"].format(orlop=args.orlop)], capture_output=True, text=True).stdout
        record(test="version", tool=name, text="; ".join(text.split("\n")[:2]).strip("; "))
    refs = [ref for ref in args.refs.split(",") if ref]
    for ref in refs:
        image = ref.partition(":")[0]
        for _ in range(args.runs):
            done = subprocess.run([args.bound, f"{args.images}/{image}"], capture_output=True, text=True)
            if done.returncode == 0:
                record(test="bound", ref=ref, **json.loads(done.stdout))
            for name in names:
                pull_and_run(name, TOOLS[name], args, ref, record)
    for ref in [ref for ref in args.load.split(",") if ref]:
        with tempfile.TemporaryDirectory(prefix="orlop-bench-load.", dir="/var/tmp") as folder:
            archive = docker_archive(args, ref, folder)
            for _ in range(args.runs):
                for name in [n for n in names if "load" in TOOLS[n]]:
                    load(name, TOOLS[name], args, ref, archive, record)


def pull_and_run(name, spec, args, ref, record):
    tool = Tool(name, spec, args, ref)
    try:
        tool.start()
        os.sync()
        record(test="pull", tool=name, ref=ref, **tool.measure(spec["pull"]))
        if "run" in spec:
            record(test="first-run", tool=name, ref=ref, **tool.measure(
                spec["run"].replace("{cmd}", shlex.join(FIRST_WORD.get(ref.partition(":")[0], ["echo", "1"])))))
    except RuntimeError as e:
        record(test="failure", tool=name, ref=ref, text=str(e))
    finally:
        tool.close()


def docker_archive(args, ref, folder):
    """The image as `docker save` of an uncompressed store would write it."""
    image, path = ref.partition(":")[0], f"{folder}/{ref.replace(':', '-')}.tar"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{args.images}/{image}:latest", f"docker-archive:{path}:{args.registry}/{ref}"], check=True)
    return path


def load(name, spec, args, ref, archive, record):
    tool = Tool(name, spec, args, ref)
    try:
        tool.start()
        os.sync()
        record(test="load", tool=name, ref=ref, archive=os.path.getsize(archive), **tool.measure(spec["load"], archive))
    except RuntimeError as e:
        record(test="failure", tool=name, ref=ref, text="load: " + str(e))
    finally:
        tool.close()


# ---- report --------------------------------------------------------------
def medians(rows):
    groups = {}
    for row in rows:
        if row["test"] in ("pull", "first-run", "load", "bound"):
            groups.setdefault((row["test"], row["ref"], row.get("tool", "bound")), []).append(row)
    return {key: {k: statistics.median(r[k] for r in rs if k in r) for k in ("wall", "cpu", "rss") if k in rs[0]} | {"runs": len(rs)}
            for key, rs in groups.items()}


def plot(data, refs, tools, path, title="Cold pull, wall seconds (dashed: hash + inflate + hash over all processors)"):
    """Bars of wall seconds, one group an image; the dashed line is the bound."""
    width, left, bar, gap = 860, 150, 13, 26
    colours = ["#0b5fa5", "#6aa9d8", "#d1495b", "#8d6a9f", "#e0913a", "#5b8c5a", "#8a8a8a"]
    rows, y = [], 34
    for ref in refs:
        if not any(("pull", ref, t) in data for t in tools):
            continue
        top = max(data["pull", ref, t]["wall"] for t in tools if ("pull", ref, t) in data)
        scale = (width - left - 70) / top
        rows.append(f'<text x="8" y="{y + 4}" class="h">{ref}</text>')
        y += 10
        begin = y
        for i, tool in enumerate(tools):
            row = data.get(("pull", ref, tool))
            if not row:
                continue
            rows.append(f'<text x="{left - 6}" y="{y + bar - 3}" class="r">{tool}</text>'
                        f'<rect x="{left}" y="{y}" width="{row["wall"] * scale:.1f}" height="{bar - 2}" fill="{colours[i % len(colours)]}"/>'
                        f'<text x="{left + row["wall"] * scale + 5:.1f}" y="{y + bar - 3}">{row["wall"]:.2f} s</text>')
            y += bar
        bound = data.get(("bound", ref, "bound"))
        if bound:
            x = left + bound["wall"] * scale
            rows.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{begin - 2}" y2="{y}" stroke="#222" stroke-dasharray="3 2"/>')
        y += gap
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="sans-serif" font-size="11">'
                '<style>.h{font-weight:bold;font-size:13px}.r{text-anchor:end}</style><rect width="100%" height="100%" fill="white"/>'
                f'<text x="8" y="16">{title}</text>'
                + "".join(rows) + "</svg>\n")


def table(data, test, ref, tools):
    ours = data[test, ref, "orlop"]
    title = {"pull": "Cold pull of", "first-run": "First run of a fresh", "load": "Load, from a docker-archive on standard input, of"}[test]
    lines = [f"\n### {title} {ref}\n",
             "| tool | wall s | × orlop | CPU s | × orlop | peak RSS MB |", "|---|---|---|---|---|---|"]
    bound = data.get(("bound", ref, "bound"))
    if test == "pull" and bound:
        lines.append(f"| *bound: hash + inflate + hash* | {bound['wall']:.2f} | {bound['wall'] / ours['wall']:.2f} | {bound['cpu']:.2f} | "
                     f"{bound['cpu'] / ours['cpu']:.2f} | |")
    for tool in tools:
        row = data.get((test, ref, tool))
        if row:
            lines.append(f"| {tool} | {row['wall']:.2f} | {row['wall'] / ours['wall']:.1f} | {row['cpu']:.2f} | {row['cpu'] / ours['cpu']:.1f} | "
                         f"{row['rss']:.0f} |")
    return lines


def report(args):
    rows = [json.loads(line) for line in open(args.results)]
    data = medians(rows)
    refs = list(dict.fromkeys(k[1] for k in data if k[0] in ("pull", "load")))
    tools = list(dict.fromkeys(k[2] for k in data if k[0] in ("pull", "load")))
    plot(data, refs, tools, args.plot)
    machine = next(r for r in rows if r["test"] == "machine")
    runs = max(row["runs"] for row in data.values())
    lines = ["# Benchmarks", "", "Made by `make bench`; `bench/bench.py` says what is measured and how.", "",
             f"{machine['text']}; Linux {machine['kernel']}; {machine['date']}; medians of {runs} run{'s' if runs > 1 else ''}, each on a fresh "
             "journaled ext4. Machines are noisy: read ratios, not seconds.", "", f"![cold pulls]({os.path.basename(args.plot)})"]
    for test in ("pull", "first-run", "load"):
        for ref in refs:
            if (test, ref, "orlop") in data:
                lines += table(data, test, ref, tools)
    lines += ["\n### Versions\n"] + [f"- {r['tool']}: {r['text']}" for r in rows if r["test"] == "version"]
    left_out = [f"- {r['tool']}: {r['text']}" for r in rows if r["test"] in ("skipped", "failure")]
    if left_out:
        lines += ["\n### Left out\n"] + left_out
    with open(args.markdown, "w") as f:
        f.write("\n".join(lines) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="what", required=True)
    r = sub.add_parser("run")
    for name in ("registry", "orlop", "bound", "images"):
        r.add_argument("--" + name, required=True)
    r.add_argument("--only", default="")
    r.add_argument("--refs", default=REFS, help="images to pull and run")
    r.add_argument("--load", default="python-ml:latest", help="images to load")
    r.add_argument("--runs", type=int, default=3)
    r.add_argument("--out", default="results.jsonl")
    q = sub.add_parser("report")
    q.add_argument("results")
    q.add_argument("--markdown", required=True)
    q.add_argument("--plot", required=True)
    args = p.parse_args()
    (run if args.what == "run" else report)(args)


if __name__ == "__main__":
    main()
