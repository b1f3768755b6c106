# Makes schedules.json: the learning rates that transformers and torch give each
# step, for the settings beside them.
#
#   pip install torch==2.15.0 transformers==5.23.0
#   python schedules.py > schedules.json
import json
import warnings

import torch
import transformers
from transformers import optimization as o

warnings.filterwarnings("ignore")
PEAK = 8e-4


def rates(make, steps):
    """The rate that the optimizer would use at steps 0 … steps of their count."""
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    s = make(opt)
    out = []
    for _ in range(steps + 1):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        s.step()
    return out


CASES = []


def case(source, config, make):
    """ours[s] is to equal theirs[s+1]: they begin at 0, with our first rate at 1."""
    steps, warmup = config["Steps"], max(config.get("WarmupSteps", 0), 1)
    CASES.append({"source": source, "config": {**config, "Peak": PEAK}, "rates": rates(lambda opt: make(opt, warmup, steps), steps)[1:]})


for steps, warmup in ((40, 0), (40, 1), (40, 7), (101, 13)):
    c = {"Steps": steps, "WarmupSteps": warmup}
    case("get_constant_schedule_with_warmup", {"Name": "constant", **c}, lambda opt, w, s: o.get_constant_schedule_with_warmup(opt, w))
    case("get_linear_schedule_with_warmup", {"Name": "linear", **c}, o.get_linear_schedule_with_warmup)
    case("get_cosine_schedule_with_warmup", {"Name": "cosine", **c}, o.get_cosine_schedule_with_warmup)
    case("get_cosine_with_min_lr_schedule_with_warmup", {"Name": "cosine", **c, "MinRatio": 0.1},
         lambda opt, w, s: o.get_cosine_with_min_lr_schedule_with_warmup(opt, w, s, min_lr_rate=0.1))
    case("get_cosine_with_hard_restarts_schedule_with_warmup", {"Name": "cosine_with_restarts", "Cycles": 1, **c},
         o.get_cosine_with_hard_restarts_schedule_with_warmup)
    for power in (0.5, 1, 2, 3.5):
        case("get_polynomial_decay_schedule_with_warmup", {"Name": "polynomial", "Power": power, "MinRatio": 0.25, **c},
             lambda opt, w, s: o.get_polynomial_decay_schedule_with_warmup(opt, w, s, lr_end=PEAK * 0.25, power=power))
    for scale in (3, 500):
        case("get_inverse_sqrt_schedule", {"Name": "inverse_sqrt", "Timescale": scale, **c},
             lambda opt, w, s: o.get_inverse_sqrt_schedule(opt, w, timescale=scale))
    if warmup:  # the default is the warmup
        case("get_inverse_sqrt_schedule", {"Name": "inverse_sqrt", **c}, lambda opt, w, s: o.get_inverse_sqrt_schedule(opt, w))
    for kind in ("linear", "cosine", "1-sqrt"):
        for decay in (1, 12, 27):
            # Their warmup would begin at the floor; it has none here.
            case("get_wsd_schedule", {"Name": "wsd", "DecayType": kind, "DecaySteps": decay, **c},
                 lambda opt, w, s: o.get_wsd_schedule(opt, w, decay, num_training_steps=s, decay_type=kind))


def torch_case(source, config, make, steps):
    """ours[s] is to equal torch's[s]: no warmup, the first rate is the peak."""
    CASES.append({"source": source, "config": {**config, "Steps": steps, "Peak": PEAK}, "rates": rates(make, steps)[:steps]})


lr = torch.optim.lr_scheduler
torch_case("torch CosineAnnealingLR", {"Name": "cosine", "MinRatio": 0.1}, lambda opt: lr.CosineAnnealingLR(opt, 49, eta_min=PEAK * 0.1), 50)
torch_case("torch PolynomialLR", {"Name": "polynomial", "Power": 2}, lambda opt: lr.PolynomialLR(opt, 49, power=2), 50)
torch_case("torch LinearLR", {"Name": "linear", "MinRatio": 0.2}, lambda opt: lr.LinearLR(opt, 1, 0.2, 49), 50)


class Cycles:
    """Cycles of CosineAnnealingLR that each reach the floor: restarted one step after it."""

    def __init__(self, opt, lengths, floor):
        self.opt, self.lengths, self.floor = opt, list(lengths), floor
        self.start()

    def start(self):
        if not self.lengths:
            return
        n = self.lengths.pop(0)
        for g in self.opt.param_groups:
            g["lr"] = g["initial_lr"] = PEAK
        self.left, self.inner = n - 1, lr.CosineAnnealingLR(self.opt, n - 1, eta_min=self.floor)

    def step(self):
        if self.left:
            self.left -= 1
            self.inner.step()
        else:
            self.start()


torch_case("torch CosineAnnealingLR, started over", {"Name": "cosine_with_restarts", "Cycles": 4, "MinRatio": 0.1},
           lambda opt: Cycles(opt, (12, 13, 12, 13), PEAK * 0.1), 50)

print(json.dumps({"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "cases": CASES}))
