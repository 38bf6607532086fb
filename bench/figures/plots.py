"""Plots of a run by gnuplot, each as SVG and PNG."""

import shutil
import subprocess
from statistics import median


COLOURS = {
    "nlbd": "#0b6e4f", "haproxy": "#c1440e", "haproxy1m": "#e08e45",
    "nginx": "#3f5fa8", "direct": "#777777", "nft-dnat": "#aaaaaa",
    "socat": "#b8a24a", "bare": "#8a5a9e",
}
WIDTH, HEIGHT = 900, 520
HEAD = """
set title "{title}" font ",TITLE_SIZE"
set xlabel "{xlabel}"
set ylabel "{ylabel}"
set border 3 lc rgb "#444444"
set tics nomirror
set grid ytics lc rgb "#dddddd" lt 1
set key {key}
set style fill solid 0.85 noborder
"""


def draw(directory, name, text):
    """One plot in both formats; text is gnuplot's, data inline."""
    for suffix, title_size, terminal in (
            ("svg", "16", f"svg size {WIDTH},{HEIGHT} font 'sans,13' "
             "background '#ffffff'"),
            ("png", "30", f"pngcairo size {WIDTH * 2},{HEIGHT * 2} "
             "font 'sans,24' linewidth 2 background '#ffffff'")):
        script = (f"set terminal {terminal}\n"
                  f"set output '{directory / name}.{suffix}'\n"
                  + text.replace("TITLE_SIZE", title_size))
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def head(title, xlabel, ylabel, key="off"):
    return HEAD.format(title=title, xlabel=xlabel, ylabel=ylabel, key=key)


def block(name, rows):
    lines = "\n".join(" ".join(str(cell) for cell in row) for row in rows)
    return f"${name} << EOD\n{lines}\nEOD\n"


def bars(results, directory, name, part, key, title, ylabel, without=()):
    """Median of each forwarder with least and most, its value above. A bar
    that would make the others stubs is named instead."""
    rows, named = [], ""
    for forwarder in results.forwarders(part):
        values = results.values(part, key, forwarder)
        if values and forwarder in without:
            named += f"; {forwarder} ({median(values):.0f}) is not drawn"
        elif values:
            rows.append((len(rows), f'"{forwarder}"', median(values),
                         min(values), max(values),
                         int(COLOURS[forwarder][1:], 16)))
    if not rows:
        return
    top = max(row[4] for row in rows) * 1.12
    draw(directory, name, head(
        title, f"median of the rounds; whiskers: least and most{named}",
        ylabel) + block("bars", rows)
         + f"set xrange [-0.6:{len(rows) - 0.4}]\n"
         + f"set yrange [0:{top}]\n"
         + "set boxwidth 0.6\n"
         "plot $bars using 1:3:6:xtic(2) with boxes lc rgb variable, "
         "'' using 1:4:(0):($5-$4) with vectors heads size graph 0.008,90 "
         "lw 1.5 lc rgb '#222222', "
         "'' using 1:5:(sprintf($3 < 10 ? '%.2f' : '%.0f', $3)) "
         "with labels offset 0,0.8\n")


def curves(results, directory, name, part, key, title, xlabel, ylabel,
           logscale="", steps=False):
    """A line per forwarder over the part's places, with its spread."""
    text, plots = "", []
    for number, forwarder in enumerate(results.forwarders(part)):
        rows = []
        for at in results.places(part):
            values = results.values(part, key, forwarder, at)
            if values:
                rows.append((at, median(values), min(values), max(values)))
        if not rows:
            continue
        colour = COLOURS[forwarder]
        text += block(f"curve{number}", rows)
        plots.append(f"$curve{number} using 1:3:4 with filledcurves lc rgb "
                     f"'{colour}' fs transparent solid 0.15 notitle")
        plots.append(f"$curve{number} using 1:2 with linespoints lc rgb "
                     f"'{colour}' lw 2 pt 7 ps 0.7 title '{forwarder}'")
    if not plots:
        return
    if len(results.places(part)) < 2:
        return
    axes = f"set logscale {logscale}\n" if logscale else ""
    first, last = min(results.places(part)), max(results.places(part))
    if "x" in logscale:
        axes += f"set format x '%.0s%c'\nset xrange [{first}:{last}]\n"
    elif steps:
        axes += (f"set xrange [{first - 0.5}:{last + 0.5}]\nset xtics 1\n")
    else:
        axes += f"set xrange [0:{last}]\n"
    axes += ("set format y '%.0s %c'\n" if "y" in logscale
             else "set yrange [0:*]\n")
    draw(directory, name, head(
        title, f"{xlabel} (shaded: least and most of the rounds)", ylabel,
        "outside right top") + axes + text
         + "plot " + ", ".join(plots) + "\n")


def latency(results, directory):
    """The share of exchanges that took longer: 1e-2 is the p99."""
    text, plots = "", []
    for number, (forwarder, buckets) in enumerate(results.cdf.items()):
        points = sorted((float(end), count) for end, count in buckets.items())
        left = total = sum(count for _, count in points)
        rows = []
        for end, count in points:
            left -= count
            rows.append((end, max(left, 0.5) / total))
        text += block(f"cdf{number}", rows)
        plots.append(f"$cdf{number} using 1:2 with lines lw 2.5 lc rgb "
                     f"'{COLOURS[forwarder]}' title '{forwarder}'")
    if plots:
        rate = results.meta["rate"]
        draw(directory, "latency", head(
            f"64-byte exchanges at {rate:,} per second: how many took longer",
            "time from the intended start (us)", "share that took longer",
            "outside right top")
             + "set logscale xy\nset yrange [1e-4:1]\n"
             "set ytics ('all' 1, 'p50' 0.5, 'p90' 0.1, 'p99' 0.01, "
             "'p99.9' 0.001, 'p99.99' 0.0001)\n"
             "set xtics (20, 50, 100, 200, 500, '1 ms' 1e3, '2 ms' 2e3, "
             "'5 ms' 5e3, '20 ms' 2e4, '100 ms' 1e5)\n"
             + text + "plot " + ", ".join(plots) + "\n")


def draw_all(results, directory, show=print):
    if shutil.which("gnuplot") is None:
        show("no plots: no gnuplot (scripts/setup --bench)")
        return
    for args in (
            ("sessions", "smtp", "sessions_per_s",
             "SMTP sessions per second, client and server on the same machine",
             "sessions per second"),
            ("cpu_per_session", "smtp", "cpu_us_per_session",
             "Forwarder CPU per SMTP session (one mail of 2 KiB)",
             "CPU time (us)", ["socat"]),
            ("bulk", "bulk", "gbit_per_s", "One bulk stream (iperf3)",
             "Gbit/s"),
            ("bulk_cpu", "bulk", "cpu_ms_per_gb",
             "Forwarder CPU per GB of one bulk stream", "CPU time (ms)",
             ["socat"])):
        bars(results, directory, *args)
    curves(results, directory, "memory", "memory", "grown_mb",
           "User memory for idle flows", "idle flows", "growth of RSS (MB)")
    curves(results, directory, "flows", "flows", "cpu_us_per_exchange",
           "Forwarder CPU per 64-byte exchange, flows taking turns",
           "concurrent flows", "CPU time (us)", "x")
    curves(results, directory, "sizes", "sizes", "gbit_per_s",
           "Echo of one message at a time, by its size", "bytes",
           "Gbit/s each way", "x")
    curves(results, directory, "sizes_cpu", "sizes", "cpu_us_per_message",
           "Forwarder CPU per echoed message, by its size", "bytes",
           "CPU time (us)", "xy")
    curves(results, directory, "workers", "workers", "sessions_per_s",
           "SMTP sessions per second by workers "
           f"({results.meta['cores']} cores shared by all)",
           "workers", "sessions per second",
           steps=True)
    curves(results, directory, "rules", "rules", "cpu_us_per_flow",
           "nlbd: CPU per new flow, by security-group rules", "rules",
           "CPU time (us)", "x")
    curves(results, directory, "targets", "targets", "cpu_us_per_flow",
           "nlbd: CPU per new flow, by targets", "targets", "CPU time (us)",
           "x")
    curves(results, directory, "reload", "reload", "reload_ms",
           "nlbctl reload, by targets", "targets", "time (ms)", "x")
    latency(results, directory)
    show(f"plots: {directory}/*.svg and *.png")
