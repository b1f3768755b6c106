# Makes methods.json: what transformers' Adafactor, bitsandbytes' AdamW8bit, torch.optim.Muon
# beside torch.optim.AdamW, and diffusers' EMAModel make of the gradients that the test
# computes by the same formula.
#
#   pip install torch==2.15.0 numpy==2.4.6 transformers==5.24.0 bitsandbytes==0.50.2 diffusers==0.42.1
#   python methods.py > methods.json
#
# Everything runs on a CPU. The library of bitsandbytes for CPUs looks codes up in a table of
# cells, so that what is near 0 gets a code beside that of 0; its implementation in plain
# PyTorch, which other devices use, finds the nearest value, as its GPU kernels do, and is
# what is taken here. Muon's iteration is run in bfloat16, as torch.optim.Muon has it,
# and again in float32, by giving the module another idea of what bfloat16 is.
import json
import types

import bitsandbytes
import bitsandbytes.backends.cpu.ops as bitsandbytes_cpu
import bitsandbytes.functional as F
import numpy as np
import torch
import torch.optim._muon as muon_module
from diffusers.training_utils import EMAModel
from transformers.optimization import Adafactor

STEPS = 10
SMALL = {"a.weight": (3, 5), "b.weight": (17,), "c.weight": (8, 4)}
LARGE = {"a.weight": (30, 20), "b.weight": (17,), "c.weight": (8, 4)}
LARGER = {"a.weight": (70, 32), "b.weight": (17,)}
MODEL = {
    "lm_head.weight": (11, 6),
    "model.embed_tokens.weight": (11, 6),
    "model.layers.0.mlp.up_proj.weight": (9, 6),
    "model.layers.0.self_attn.o_proj.weight": (6, 6),
    "model.layers.1.input_layernorm.weight": (6,),
    "model.layers.1.mlp.down_proj.weight": (6, 9),
}


def value(tensor, i):
    return np.float32(((i * 37 + tensor * 11) % 101 - 50) / 64)


def grad(tensor, step, i):
    # Step 3 is so large that it is clipped, step 5 so small that epsilon counts.
    size = {3: 64.0, 5: 2.0**-26}.get(step, 1.0)
    return np.float32(((i * 53 + step * 29 + tensor * 7) % 127 - 63) / 256 * size)


def fill(f, shape):
    n = int(np.prod(shape))
    return torch.from_numpy(np.array([f(i) for i in range(n)], dtype=np.float32)).reshape(shape)


def fresh(shapes):
    return {name: torch.nn.Parameter(fill(lambda i: value(t, i), s)) for t, (name, s) in enumerate(shapes.items())}


def numbers(x):
    """The values of a tensor, with as many digits as a float32 has."""
    return [int(v) if x.dtype == torch.uint8 else float(f"{v:.9g}") for v in x.detach().flatten().tolist()]


def groups(named, decay):
    return [
        {"params": [p for p in named.values() if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in named.values() if p.dim() == 1], "weight_decay": 0.0},
    ]


def follow(named, *opts, kept=(0, 3, 5, STEPS - 1), after=lambda: None, relative=False):
    """Ten steps whose rates fall; the values after those that are kept, and the state."""
    rates = [[g["lr"] for g in o.param_groups] for o in opts]
    steps = []
    for step in range(STEPS):
        for o, firsts in zip(opts, rates):
            for g, first in zip(o.param_groups, firsts):
                g["lr"] = None if relative else first * (1 - step / 20)
        for t, p in enumerate(named.values()):
            p.grad = fill(lambda i: grad(t, step, i), p.shape)
        norm = torch.nn.utils.clip_grad_norm_(list(named.values()), 2.0, foreach=False)
        for o in opts:
            o.step()
        after()
        values = [numbers(p) for p in named.values()] if step in kept else None
        steps.append({"norm": norm.item(), "values": values})
    state, codes = {}, {}
    for name, p in named.items():
        for o in opts:
            for key, x in o.state.get(p, {}).items():
                if torch.is_tensor(x) and x.dim() > 0 and not key.startswith("qmap"):
                    # Those with float32 averages call them state1 and state2 as well.
                    if x.dtype == torch.uint8:
                        codes[f"{name}.{key}"] = numbers(x)
                    else:
                        key = {"state1": "exp_avg", "state2": "exp_avg_sq"}.get(key, key)
                        state[f"{name}.{key}"] = numbers(x)
    return {
        "names": list(named), "shapes": [list(p.shape) for p in named.values()],
        "steps": steps, "state": state, "codes": codes,
    }


def adafactor(**settings):
    named = fresh(SMALL)
    relative = settings.get("relative_step", False)
    settings = {"relative_step": False, "scale_parameter": False, "lr": None if relative else 1e-2} | settings
    return follow(named, Adafactor(groups(named, 0.1), **settings), relative=relative)


def adamw8(shapes, block):
    """Blocks of 256 are what AdamW8bit has; for those of the paper its code is given another size."""
    named = fresh(shapes)
    opt = bitsandbytes.optim.AdamW8bit(groups(named, 0.1), lr=1e-2, betas=(0.9, 0.999), eps=1e-8, min_8bit_size=64)
    init = opt.init_state

    def init_blocks(group, p, *where):
        init(group, p, *where)
        for key in ("absmax1", "absmax2"):
            if key in opt.state[p]:
                opt.state[p][key] = torch.zeros(-(-p.numel() // block))

    def quantise(x, code, absmax, out, _):
        plain = torch._C.DispatchKeySet(torch._C.DispatchKey.CompositeExplicitAutograd)
        codes, scales = torch.ops.bitsandbytes.quantize_blockwise.default.redispatch(plain, x, code, block)
        out.copy_(codes)
        absmax.copy_(scales)

    dequantise = torch.ops.bitsandbytes.dequantize_blockwise
    bitsandbytes_cpu._quant_blockwise_fp32_direct = quantise
    bitsandbytes_cpu._dequant_blockwise_fp32_direct = lambda x, absmax, code, _: dequantise(x, absmax, code, block, torch.float32)
    opt.init_state = init_blocks
    return follow(named, opt, kept=(0, STEPS - 1) if block == 256 else (STEPS - 1,))


def muon(adjust, dtype, momentum=0.95):
    named = fresh(MODEL)
    inside = {n: p for n, p in named.items() if ".layers." in n and p.dim() == 2}
    outside = {n: p for n, p in named.items() if n not in inside}
    muon_module.torch = types.SimpleNamespace(**(vars(torch) | {"bfloat16": dtype}))
    return follow(
        named,
        torch.optim.Muon(inside.values(), lr=1e-2, weight_decay=0.1, momentum=momentum, adjust_lr_fn=adjust),
        torch.optim.AdamW(groups(outside, 0.1), lr=1e-2, betas=(0.9, 0.999), eps=1e-8, foreach=False),
    )


def ema(decay):
    named = fresh(SMALL)
    average = EMAModel(named.values(), decay=decay)
    opt = torch.optim.SGD(groups(named, 0.0), lr=1e-2)
    followed = []

    def after():
        average.step(named.values())
        followed.append([numbers(p) for p in average.shadow_params])

    return follow(named, opt, kept=range(STEPS), after=after) | {"averages": followed}


torch.set_num_threads(1)
print(json.dumps({
    "torch": torch.__version__.split("+")[0],
    "books": {"signed": numbers(F.create_dynamic_map(True)), "unsigned": numbers(F.create_dynamic_map(False))},
    "cases": {
        "adafactor": adafactor(),
        "adafactor scaled, first moment": adafactor(scale_parameter=True, beta1=0.9, clip_threshold=0.5, decay_rate=-0.6),
        "adafactor relative": adafactor(scale_parameter=True, relative_step=True),
        "adafactor relative, warmup": adafactor(scale_parameter=True, relative_step=True, warmup_init=True),
        "adamw_8bit": adamw8(LARGE, 256),
        "adamw_8bit of 2048": adamw8(LARGER, 2048),
        "muon": muon("original", torch.float32),
        "muon as adamw": muon("match_rms_adamw", torch.float32, momentum=0.8),
    },
    "bfloat16": muon("original", torch.bfloat16),
    "ema": {"0.7": ema(0.7), "0.3": ema(0.3)},
}))
