# Makes small model folders laid out as SmolLM2's and Qwen2.5's are on the hub, and what
# transformers and PEFT compute from them. It also computes it for any other folder.
#
#   pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 tokenizers==0.23.3 safetensors==0.8.0 bitsandbytes==0.50.2   # Python 3.11
#   python golden.py make                               # in this folder
#   python golden.py losses FOLDER ROWS.jsonl ADAPTER   # of a real folder; makes ADAPTER
#
# A folder holds config.json, generation_config.json, tokenizer.json, tokenizer_config.json
# with the chat template, special_tokens_map.json and weights in bf16: of SmolLM2 one
# file, of Qwen2.5 two with an index. The templates are of the families' kind, with
# words of their own: a system text where there is none, and for Qwen2.5 tools.
#
# Tokens are those of tokenizer.json, as in transformers 4. AutoTokenizer of transformers 5 takes
# the class GPT2Tokenizer for SmolLM2, which makes a pre-tokenizer of its own without the
# splitting of digits: two spaces before a number then become other tokens.
#
# golden.json has of each row (question, answer) the ids and which are targets: what the
# template writes for both turns less what it writes for the question with the beginning
# of an answer, without the line break behind <|im_end|>. The losses are those of the
# mean over all targets before each of five steps of AdamW on all rows (no decay, norm
# of the gradients clipped to 1), from the adapter that is saved, in float32; "bf16" is
# the first with model and activations in bfloat16, "nf4" that in float32 from a base that
# bitsandbytes quantised to nf4, scales too, and widened again.
import json
import pathlib
import shutil
import sys

import torch
from bitsandbytes.functional import create_dynamic_map
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

STEPS, RATE = 5, 0.005

SMOLLM2 = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a small model that helps.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN2 = r"""{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] %}
{%- else %}
    {%- set system = 'You are a model that helps.' %}
{%- endif %}
{{- '<|im_start|>system\n' + system }}
{%- if tools %}
    {{- '\n\n# Tools\n\nThese can be called:\n<tools>' }}
    {%- for tool in tools %}
        {{- '\n' }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '\n</tools>\n\nA call is {"name": …, "arguments": …} in <tool_call></tool_call>.' }}
{%- endif %}
{{- '<|im_end|>\n' }}
{%- for message in messages %}
    {%- if (message.role == 'user') or (message.role == 'system' and not loop.first) or (message.role == 'assistant' and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' + tool_call.name + '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == 'tool' %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != 'tool') %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != 'tool') %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def write(folder, name, value):
    (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def one(token):
    return {"content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}


def added(tokenizer, tokens):
    return {str(tokenizer.token_to_id(t)): one(t) | {"special": s} for t, s in tokens}


def smollm2(folder, texts):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>"]
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=352, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=special))
    t.save(str(folder / "tokenizer.json"))
    write(folder, "tokenizer_config.json", {
        "add_prefix_space": False, "added_tokens_decoder": added(t, [(s, True) for s in special]),
        "additional_special_tokens": special[1:3], "bos_token": special[1], "chat_template": SMOLLM2, "clean_up_tokenization_spaces": False,
        "eos_token": special[2], "model_max_length": 8192, "pad_token": special[2], "tokenizer_class": "GPT2Tokenizer", "unk_token": special[0], "vocab_size": 352})
    write(folder, "special_tokens_map.json", {
        "additional_special_tokens": special[1:3], "bos_token": one(special[1]), "eos_token": one(special[2]), "pad_token": one(special[2]), "unk_token": one(special[0])})
    write(folder, "config.json", {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 48, "initializer_range": 0.15, "intermediate_size": 96, "is_llama_config": True, "max_position_embeddings": 8192, "mlp_bias": False,
        "model_type": "llama", "num_attention_heads": 3, "num_hidden_layers": 2, "num_key_value_heads": 1, "pad_token_id": 2, "pretraining_tp": 1,
        "rms_norm_eps": 1e-05, "rope_interleaved": False, "rope_scaling": None, "rope_theta": 100000, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}}, "transformers_version": "4.42.3", "use_cache": True, "vocab_size": 352})
    write(folder, "generation_config.json", {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "transformers_version": "4.42.3"})
    return 1


def qwen2(folder, texts):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|box_start|>", "<|box_end|>"]
    plain = ["<tool_call>", "</tool_call>", "<|fim_prefix|>"]
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=340, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    t.add_tokens([AddedToken(s, normalized=False, special=False) for s in plain])
    t.save(str(folder / "tokenizer.json"))
    ids = {s: t.token_to_id(s) for s in special}
    write(folder, "tokenizer_config.json", {
        "add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added(t, [(s, True) for s in special] + [(s, False) for s in plain]),
        "additional_special_tokens": special[1:], "bos_token": None, "chat_template": QWEN2, "clean_up_tokenization_spaces": False, "eos_token": special[2],
        "errors": "replace", "model_max_length": 131072, "pad_token": special[0], "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})
    write(folder, "config.json", {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": ids[special[0]], "eos_token_id": ids[special[2]], "hidden_act": "silu",
        "hidden_size": 48, "initializer_range": 0.15, "intermediate_size": 96, "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2",
        "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.43.1", "use_cache": True, "use_sliding_window": False, "vocab_size": 360})
    write(folder, "generation_config.json", {
        "bos_token_id": ids[special[0]], "pad_token_id": ids[special[0]], "do_sample": True, "eos_token_id": [ids[special[2]], ids[special[0]]],
        "repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "transformers_version": "4.37.0"})
    return 2


def weights(folder, parts):
    """Random weights in bf16, in one file or in several with an index."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).float()
    tensors = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":
            continue  # is the embedding
        if value.dim() == 1:
            value = value + 0.2 * torch.randn_like(value)
        tensors[name] = value.to(torch.bfloat16).contiguous()
    if parts == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names, where = sorted(tensors), {}
    for i in range(parts):
        file = f"model-{i + 1:05d}-of-{parts:05d}.safetensors"
        part = names[len(names) * i // parts:len(names) * (i + 1) // parts]
        save_file({n: tensors[n] for n in part}, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    write(folder, "model.safetensors.index.json", {
        "metadata": {"total_size": sum(t.numel() * 2 for t in tensors.values())}, "weight_map": where})


def encode(tokenizer, messages, **more):
    """The ids of a conversation and which the answers at its ends are."""
    def written(n, **kind):
        return tokenizer.apply_chat_template(messages[:n], tokenize=False, **kind, **more)

    text = written(len(messages))
    pieces, marks, at = [], [], 0
    for i, m in enumerate(messages):
        if m["role"] == "assistant":
            before, whole = written(i, add_generation_prompt=True), written(i + 1)
            assert text.startswith(before) and text.startswith(whole) and whole.endswith("<|im_end|>\n")
            for part, mark in ((text[at:len(before)], 0), (text[len(before):len(whole) - 1], 1)):
                ids = tokenizer(part, add_special_tokens=False)["input_ids"]
                pieces += ids
                marks += [mark] * len(ids)
            at = len(whole) - 1
    ids = tokenizer(text[at:], add_special_tokens=False)["input_ids"]
    pieces += ids
    marks += [0] * len(ids)
    joined = tokenizer.apply_chat_template(messages, return_dict=True, **more)["input_ids"]
    assert pieces == joined, "an answer's tokens are not those of the whole text"
    return {"ids": pieces, "targets": marks}


def chats(path):
    for line in pathlib.Path(path).read_text().splitlines():
        row = json.loads(line)
        yield [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]


def loss_of(model, rows):
    """The mean over the targets of all rows, each row alone in its batch."""
    total, count = 0.0, 0
    for row in rows:
        ids, targets = torch.tensor([row["ids"]]), torch.tensor(row["targets"], dtype=torch.bool)
        logits = model(input_ids=ids).logits[0, :-1].float()
        nll = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
        total = total + nll[targets[1:]].sum()
        count += int(targets[1:].sum())
    return total / count


def through_nf4(w):
    """w quantised as QLoRA does and widened, by bitsandbytes' operators in plain PyTorch: those in
    C for CPUs widen codes to other values than the code book's (0.50.2, AVX-512)."""
    plain = torch._C.DispatchKeySet(torch._C.DispatchKey.CompositeExplicitAutograd)
    ops = torch.ops.bitsandbytes
    codes, scales = ops.quantize_4bit.default.redispatch(plain, w, 64, "nf4", torch.uint8)
    mean, book = scales.mean(), create_dynamic_map()
    eights, tops = ops.quantize_blockwise.default.redispatch(plain, scales - mean, book, 256)
    scales = mean + ops.dequantize_blockwise.default.redispatch(plain, eights, tops, book, 256, torch.float32)
    return ops.dequantize_4bit.default.redispatch(plain, codes, scales, 64, "nf4", w.shape, torch.float32)


def measure(folder, rows, adapter, rank):
    torch.manual_seed(11)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    # In float32 before it is in bf16, so that an adapter that is not nought is compared.
    model = get_peft_model(base, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for key, p in model.named_parameters():
            if ".lora_B." in key:
                p.normal_(0.0, 0.02)
    model.peft_config["default"].base_model_name_or_path = folder.name
    model.save_pretrained(adapter)
    (adapter / "README.md").unlink(missing_ok=True)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["target_modules"].sort()  # PEFT keeps a set
    write(adapter, "adapter_config.json", config)
    params = [p for p in model.parameters() if p.requires_grad]
    adam, losses = torch.optim.AdamW(params, lr=RATE, weight_decay=0.0), []
    model.train()
    for _ in range(STEPS):
        adam.zero_grad()
        loss = loss_of(model, rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        adam.step()
        losses.append(loss.item())
    with torch.no_grad():
        plain = loss_of(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), rows).item()
        half = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16), adapter)
        bf16 = loss_of(half.to(torch.bfloat16).eval(), rows).item()
        widened = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        for module in widened.model.layers.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.copy_(through_nf4(module.weight.data))
        nf4 = loss_of(PeftModel.from_pretrained(widened, adapter).eval(), rows).item()
    return {"without adapter": plain, "losses": losses, "bf16": bf16, "nf4": nf4}


def make():
    texts = [m["content"] for c in chats("rows.jsonl") for m in c] + ["system user assistant tool"]
    tools = json.loads(pathlib.Path("tools.jsonl").read_text())
    golden = {}
    for family in (smollm2, qwen2):
        folder = pathlib.Path(family.__name__)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        weights(folder, family(folder, texts))
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        rows = [encode(tokenizer, c) for c in chats("rows.jsonl")]
        g = {"rows": rows} | measure(folder, rows, folder / "adapter", 4)
        if family is qwen2:
            g["tools"] = encode(tokenizer, tools["messages"], tools=tools["tools"])
        golden[folder.name] = g
    pathlib.Path("golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "make":
        make()
    else:
        folder, path, adapter = map(pathlib.Path, sys.argv[2:])
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        rows = [encode(tokenizer, c) for c in chats(path)]
        print(json.dumps(measure(folder, rows, adapter, 16) | {"rows": rows}))
