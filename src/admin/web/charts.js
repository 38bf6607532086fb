"use strict";
/* The four charts, drawn from the samples of /v1/history. What a colour tells,
 * a dash pattern tells too. */

const MINUTES = 15;
const QUANTILE_SAMPLES = 6; /* half a minute of connects for one percentile */
const DASHES = [[], [6, 3], [2, 3], [9, 3, 2, 3], [4, 4], [1, 2]];

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name)
    .trim();
}

/* "1.2 k" and, with a unit, "1.2 kB/s". */
function siNumber(value, unit = "") {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const prefixes = ["", "k", "M", "G", "T"];
  let power = 0;
  while (Math.abs(value) >= 1000 && power < prefixes.length - 1) {
    value /= 1000;
    power += 1;
  }
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${prefixes[power]}${unit}`.trim();
}

function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return (value < 10 ? value.toFixed(1) : value.toFixed(0)) + " ms";
}

/* "2026-08-01 10:02:03", local. */
function stamp(date) {
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${
    two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${
    two(date.getSeconds())}`;
}

/* What came between two samples; a listener that was removed takes its part of
 * a sum along. */
function grown(now, before) {
  return Math.max(0, now - before);
}

/* [{x, y}] of pick(sample, the one before, seconds between them). */
function points(samples, pick) {
  return samples.slice(1).map((sample, i) => {
    const before = samples[i];
    const seconds = Math.max(0.001, (sample.time_ms - before.time_ms) / 1000);
    return { x: sample.time_ms, y: pick(sample, before, seconds) };
  });
}

function rate(key) {
  return (now, before, seconds) => grown(now[key], before[key]) / seconds;
}

/* A percentile in milliseconds from counts by bucket, linear within one. */
function quantile(counts, bounds, q) {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return null;
  let below = 0;
  for (let i = 0; i < counts.length; i += 1) {
    const upper = Number(bounds[i]);
    const lower = i === 0 ? 0 : Number(bounds[i - 1]);
    if (below + counts[i] >= q * total) {
      if (!Number.isFinite(upper)) return lower * 1000;
      return 1000 * (lower + (upper - lower)
        * ((q * total - below) / counts[i]));
    }
    below += counts[i];
  }
  return null;
}

function quantilePoints(samples, bounds, q) {
  return samples.slice(1).map((sample, i) => {
    const before = samples[Math.max(0, i + 1 - QUANTILE_SAMPLES)];
    const counts = sample.connects.map((n, b) => grown(n, before.connects[b]));
    return { x: sample.time_ms, y: quantile(counts, bounds, q) };
  });
}

class Plot {
  constructor(id, format) {
    this.format = format;
    this.output = document.getElementById(`${id}-now`);
    this.range = {};
    this.chart = new Chart(document.getElementById(id), {
      type: "line",
      data: { datasets: [] },
      options: this.options(),
    });
  }

  options() {
    const text = cssColor("--soft");
    const grid = { color: cssColor("--line") };
    return {
      animation: false,
      parsing: false,
      normalized: true,
      maintainAspectRatio: false,
      interaction: { mode: "nearest", axis: "x", intersect: false },
      elements: { point: { radius: 0, hitRadius: 12 },
        line: { borderWidth: 2 } },
      scales: {
        x: { type: "linear", grid, ...this.range,
          ticks: { color: text, maxTicksLimit: 4, maxRotation: 0,
            callback: (value) => stamp(new Date(value)).slice(11, 16) } },
        y: { beginAtZero: true, suggestedMax: 1, grid,
          ticks: { color: text, maxTicksLimit: 5, callback: this.format } },
      },
      plugins: {
        legend: { position: "bottom",
          labels: { usePointStyle: true, pointStyleWidth: 40,
            generateLabels: (chart) => this.legend(chart) } },
        tooltip: { callbacks: {
          title: (items) => stamp(new Date(items[0].parsed.x)).slice(11),
          label: (item) =>
            `${item.dataset.label}: ${this.format(item.parsed.y)}`,
        } },
      },
    };
  }

  /* Each with the dashes of its line, which the library leaves out. */
  legend(chart) {
    return chart.data.datasets.map((set, i) => ({
      text: set.label,
      fontColor: cssColor("--soft"),
      strokeStyle: set.borderColor,
      lineDash: set.borderDash,
      lineWidth: 2,
      pointStyle: "line",
      hidden: !chart.isDatasetVisible(i),
      datasetIndex: i,
    }));
  }

  restyle() {
    this.chart.options = this.options();
    this.color();
    this.chart.update("none");
  }

  color() {
    this.chart.data.datasets.forEach((set, i) => {
      set.borderColor = cssColor(`--series${(i % 6) + 1}`);
      set.backgroundColor = set.borderColor;
      set.borderDash = DASHES[i % DASHES.length];
    });
  }

  /* series: [[label, points]] */
  show(series, now) {
    this.chart.data.datasets = series.map(([label, data], i) => {
      const kept = this.chart.data.datasets[i];
      return kept && kept.label === label
        ? Object.assign(kept, { data }) : { label, data };
    });
    this.range = { min: now - MINUTES * 60000, max: now };
    Object.assign(this.chart.options.scales.x, this.range);
    this.color();
    this.chart.update("none");
    this.output.textContent = series
      .map(([label, data]) => [label, data.length
        ? data[data.length - 1].y : null])
      .map(([label, value]) => `${label} ${this.format(value)}`)
      .join(", ");
  }
}

class Charts {
  constructor() {
    this.flows = new Plot("flows", (v) => siNumber(v));
    this.bytes = new Plot("bytes", (v) => siNumber(v, "B/s"));
    this.ends = new Plot("ends", (v) => siNumber(v));
    this.connect = new Plot("connect", milliseconds);
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.restyle());
  }

  restyle() {
    [this.flows, this.bytes, this.ends, this.connect]
      .forEach((plot) => plot.restyle());
  }

  show(history) {
    const { samples, reasons, connect_bounds: bounds } = history;
    if (samples.length === 0) return;
    const now = samples[samples.length - 1].time_ms;
    this.flows.show([
      ["active", points(samples, (sample) => sample.active_flows)],
      ["new a second", points(samples, rate("new_flows"))],
    ], now);
    this.bytes.show([
      ["to targets", points(samples, rate("client_to_target_bytes"))],
      ["to clients", points(samples, rate("target_to_client_bytes"))],
    ], now);
    this.ends.show(this.endSeries(samples, reasons), now);
    this.connect.show([
      ["median", quantilePoints(samples, bounds, 0.5)],
      ["p99", quantilePoints(samples, bounds, 0.99)],
    ], now);
  }

  /* The good ends as one, and those of the others that there were. */
  endSeries(samples, reasons) {
    const first = samples[0];
    const last = samples[samples.length - 1];
    const seen = reasons
      .map((name, i) => ({ name, i, n: last.flow_ends[i] - first.flow_ends[i] }))
      .filter(({ name, n }) => n > 0 && !name.endsWith("-fin"))
      .sort((a, b) => b.n - a.n)
      .slice(0, 5);
    const good = reasons.map((name, i) => (name.endsWith("-fin") ? i : -1))
      .filter((i) => i >= 0);
    const of = (indices) => points(samples, (now, before, seconds) => indices
      .reduce((sum, i) => sum + grown(now.flow_ends[i], before.flow_ends[i]), 0)
      / seconds);
    return [["by FIN", of(good)],
      ...seen.map(({ name, i }) => [name, of([i])])];
  }
}
