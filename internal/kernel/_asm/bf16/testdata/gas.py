"""Assembles the instructions that bf16_amd64.s writes as bytes and writes their bytes
to gas.txt, from their names alone.

Python 3.11, GNU assembler 2.40 (Intel's syntax). Run it in this folder.
"""
import re, subprocess, tempfile

names = sorted(set(re.findall(r"^\tBYTE.* // (.*)$", open("../../../bf16_amd64.s").read(), re.M)))
lines = []
with tempfile.TemporaryDirectory() as tmp:
    for name in names:
        open(tmp + "/x.s", "w").write(".intel_syntax noprefix\n" + name.lower() + "\n")
        subprocess.check_call(["as", "--64", "-o", tmp + "/x.o", tmp + "/x.s"])
        subprocess.check_call(["objcopy", "-O", "binary", "-j", ".text", tmp + "/x.o", tmp + "/x.bin"])
        lines.append(open(tmp + "/x.bin", "rb").read().hex() + " " + name)
open("gas.txt", "w").write("\n".join(lines) + "\n")
