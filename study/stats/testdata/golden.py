# Makes golden.json: what SciPy and statsmodels say to the questions of this package.
#
#   pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0
#   python golden.py > golden.json
import json
import warnings

import numpy as np
from scipy import integrate, stats
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

warnings.filterwarnings("ignore")
rng = np.random.default_rng(6)
out = {"effects": [], "powers": [], "equal_powers": [], "seeds": [], "adjusted": [], "trends": [], "peaks": [], "ranks": [], "bootstraps": [], "survivals": []}

for n in (2, 3, 5, 6, 10, 30):
    for mean, sd, margin in ((0.0, 1.0, 0.5), (0.08, 0.03, 0.05), (-2.0, 0.7, 1.0)):
        x = mean + sd * rng.standard_normal(n)
        row = {"values": list(x), "margin": margin}
        for level in ("0.90", "0.95", "0.99"):
            row["interval" + level] = list(stats.ttest_1samp(x, 0).confidence_interval(float(level)))
        row["different"] = stats.ttest_1samp(x, 0).pvalue
        row["above"] = stats.ttest_1samp(x, margin, alternative="greater").pvalue
        row["below"] = stats.ttest_1samp(x, margin, alternative="less").pvalue
        row["tost"] = DescrStatsW(x).ttost_mean(-margin, margin)[0]
        out["effects"].append(row)

# The interval of 95 % is above 0: the upper half of the noncentral t test.
for n in (2, 3, 6, 10, 50):
    for d in (0.0, 0.3, 1.0, 2.5):
        out["powers"].append({"seeds": n, "effect": d, "power": TTestPower().power(d, n, 0.025, alternative="larger")})


def tost(n, effect, sd, margin):
    """Power of two one-sided tests at 5 %, by adaptive integration over the deviation."""
    nu, t = n - 1, stats.t.ppf(0.95, n - 1)

    def inner(u):  # u is χ²
        se = sd * np.sqrt(u / nu / n)
        lo, hi = -margin + t * se, margin - t * se
        if hi <= lo:
            return 0.0
        z = np.sqrt(n) / sd
        return (stats.norm.cdf((hi - effect) * z) - stats.norm.cdf((lo - effect) * z)) * stats.chi2.pdf(u, nu)

    end = nu * n * (margin / (t * sd)) ** 2  # where the region closes
    end = min(end, stats.chi2.ppf(1 - 1e-15, nu))
    cuts = [0.0] + [c for c in stats.chi2.ppf([0.01, 0.2, 0.5, 0.8, 0.99], nu) if c < end] + [end]
    return sum(integrate.quad(inner, a, b, epsabs=1e-13, epsrel=1e-11)[0] for a, b in zip(cuts, cuts[1:]))


for n, effect, sd in ((3, 0, 0.2), (5, 0, 0.5), (6, 0.3, 0.5), (10, 0, 0.9), (20, 0.2, 1.0), (30, 1.0, 1.5)):
    out["equal_powers"].append({"seeds": n, "effect": effect, "sd": sd, "margin": 1.0, "power": tost(n, effect, sd, 1.0)})

for d in (0.4, 0.8, 1.2, 2.0, 4.0):
    n = int(np.ceil(TTestPower().solve_power(effect_size=d, alpha=0.025, power=0.8, alternative="larger") - 1e-9))
    out["seeds"].append({"effect": d, "needs": n})

for p in ([0.01, 0.04, 0.03, 0.005], [0.5], [0.02, 0.02, 0.02], [1.0, 0.9, 1e-6, 0.049, 0.051, 0.0], list(rng.uniform(size=12) ** 3)):
    out["adjusted"].append({"p": p, "holm": list(multipletests(p, method="holm")[1]), "bh": list(multipletests(p, method="fdr_bh")[1])})

for x in ([1, 2, 4, 8, 16], [3.0, 1.0, 2.0], [1, 8, 32]):
    y = list(rng.standard_normal(len(x)))
    t = stats.linregress
    out["trends"].append({"x": x, "y": y, "linear": t(x, y).slope, "log2": t(np.log2(x), y).slope, "exponent": t(np.log(x), y).slope})

for rates, values in (
    ([1e-4, 3e-4, 1e-3, 3e-3, 1e-2], [2.0, 1.7, 1.55, 1.6, 2.4]),
    ([1e-4, 2e-4, 4e-4], [1.0, 0.5, 0.9]),
    ([0.1, 0.7, 1.0, 5.0], [3.0, 1.0, 1.0, 2.0]),
):
    i = int(np.argmin(values))
    a, b, c = np.polyfit(np.log(rates[i - 1 : i + 2]), values[i - 1 : i + 2], 2)
    out["peaks"].append({"rates": rates, "values": values, "at": np.exp(-b / 2 / a), "value": c - b * b / 4 / a})

# Without ties and zeros SciPy has the exact distribution; else it permutes all signs.
for x in ([1.1, 2.2, -0.3, 4.0, 5.5, 0.7], [1.0, 2.0, 2.0, -1.0, 3.0, 3.0, 0.0, -2.0], [1.0, -1.0, 1.0, -1.0, 2.0, 2.0, 3.0, 3.0], [1.0, 1.0, 1.0, 1.0, -2.0, -2.0, 3.0, 4.0], list(0.5 + rng.standard_normal(9)), [1.0] * 6):
    tied = len(set(np.abs(x))) < len(x) or 0.0 in x
    method = stats.PermutationMethod(n_resamples=np.inf) if tied else "exact"
    out["ranks"].append({"values": x, "p": stats.wilcoxon(x, method=method).pvalue})

for x in (list(rng.standard_normal(10)), list(rng.exponential(size=8)), list(rng.exponential(size=30) - 0.5)):
    ci = stats.bootstrap((x,), np.mean, n_resamples=400_000, confidence_level=0.95, method="BCa", batch=10_000, rng=np.random.default_rng(1)).confidence_interval
    out["bootstraps"].append({"values": x, "low": ci.low, "high": ci.high})

for times, censored, until in (
    ([3, 5, 5, 8, 10, 10], [0, 0, 1, 0, 1, 1], 10),
    ([2, 4, 4, 6, 7, 12, 12], [0, 1, 0, 0, 1, 0, 1], 9),
    ([1, 2, 3], [0, 0, 0], 5),
):
    s = SurvfuncRight(np.array(times, float), 1 - np.array(censored))
    at = [0.0] + [t for t in s.surv_times if t < until] + [float(until)]
    level = [1.0] + [float(p) for t, p in zip(s.surv_times, s.surv_prob) if t < until]
    out["survivals"].append({"times": times, "censored": [bool(c) for c in censored], "until": until, "mean": float(np.dot(np.diff(at), level))})

out = {k: [{f: (list(map(float, v)) if isinstance(v, list) and not isinstance(v[0], bool) else v) for f, v in row.items()} for row in rows] for k, rows in out.items()}
rows = ",\n".join(json.dumps(k) + ": [\n" + ",\n".join(json.dumps(r, default=float) for r in v) + "\n]" for k, v in out.items())
print("{\n" + rows + "\n}")
