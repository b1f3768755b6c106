"""Renders templates as transformers does and writes golden.json.

Python 3.11+, transformers 5.23.0, Jinja2 3.1.6. Run it in this folder.
"""
import json
from transformers.utils.chat_template_utils import _compile_jinja_template, _render_with_assistant_indices

T={}
T['trim']="{% for m in messages %}\n    {% if m.role == 'user' %}\nU: {{ m.content }}\n    {% else %}\n  A: {{ m['content'] | trim }}\n    {% endif %}\n{% endfor %}\nend\n"
T['ns']="{% set ns = namespace(found=false, n=0) %}{% for m in messages %}{% if m.role=='user' %}{% set ns.found = true %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{{ ns.found }} {{ ns.n }}"
T['tojson']="{{ tools | tojson }}|{{ tools | tojson(indent=4) }}"
T['items']="{% for t in tools %}{% for k, v in t.function.parameters.properties.items() %}{{ k }}={{ v.type }};{% endfor %}{% endfor %}"
T['slice']="{{ messages[1:] | length }} {{ messages[-1].content }} {{ messages[::-1][0].role }} {{ 'abc'[::-1] }} {{ 'abcdef'[1:4] }}"
T['macro']="{% macro f(x, y='d', z=none) %}<{{ x }}-{{ y }}-{{ z }}>{% endmacro %}{{ f(1) }}{{ f(2, z=3) }}{{ f(y='q', x=9) }}"
T['brk']="{% for m in messages %}{% if loop.index0 == 1 %}{% continue %}{% endif %}{% if loop.index > 3 %}{% break %}{% endif %}{{ loop.index }}{{ m.role }}{% if not loop.last %},{% endif %}{% endfor %}"
T['str']="{{ ' a b '.strip() }}|{{ 'x</think>y'.split('</think>')[-1] }}|{{ 'abc'.startswith('ab') }}|{{ 'a-b-c'.split('-', 1) }}|{{ 'hello'.upper() }}|{{ 'a,b'.replace(',', ';') }}|{{ '  x'.lstrip() }}|{{ 'x\n\n'.rstrip('\n') }}|{{ 'abc'.endswith(('c','d')) }}"
T['tern']="{{ 'y' if messages else 'n' }}{{ 'only' if false }}{{ (tools is defined) and (tools is not none) }}{{ foo is defined }}{{ messages is string }} {{ messages is iterable }} {{ messages[0] is mapping }} {{ messages is sequence }}"
T['cat']="{{ 'a' ~ 1 ~ none ~ true }} {{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ 7 / 2 }} {{ 'a' + 'b' }} {{ [1,2] + [3] }} {{ 2 ** 3 }} {{ -3 // 2 }}"
T['sel']="{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | map(attribute='role') | join(', ') }} {{ messages | rejectattr('role','equalto','user') | map(attribute='content') | first }}"
T['undef']="[{{ messages[0].foo }}][{{ messages[0].foo is defined }}][{{ messages[0].get('foo', 'dflt') }}][{{ foo | default('d') }}]"
T['dict']="{% set d = {'b': 1, 'a': [1, 'x', none, true, 1.5]} %}{{ d }} {{ d.a }} {{ d | tojson }} {{ 'b' in d }} {{ d | length }} {{ d.items() | list }}"
T['ws']="a\n  {%- if true -%}\n  b\n  {%- endif -%}\n c {{- ' d ' -}} e\n{# comment #}\nf"
T['gen']="{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}<e>{% endgeneration %}\n{% else %}U:{{ m.content }}\n{% endif %}{% endfor %}"
T['setblock']="{% set x %}hello {{ messages[0].role }}{% endset %}[{{ x }}]{% filter upper %}abc{% endfilter %}"
T['scope']="{% set x = 1 %}{% for m in messages %}{% set x = 2 %}{% endfor %}{{ x }}{% if true %}{% set x = 5 %}{% endif %}{{ x }}"
T['elif']="{% if false %}1{% elif messages | length > 2 %}2{% else %}3{% endif %}{% for x in [] %}x{% else %}empty{% endfor %}{% for k in {'z':1,'y':2} %}{{k}}{% endfor %}"
T['in']="{{ 'user' in 'the user' }} {{ 3 not in [1,2] }} {{ not true or 1 == 1.0 }} {{ 1 < 2 < 3 }} {{ 'a' < 'b' }}"
T['strf']="{{ strftime_now('%Y') | length }}"
T['uni']="{{ 'é中😀' | length }} {{ 'é中😀'[1] }} {{ {'k':'é<>&\\'\"'} | tojson }} {{ 'aé'.upper() }} {{ 'x' * 3 }}"
T['loop'] = "{% for a in [1, 2, 3] %}{{ loop.index }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('x', 'y') }}{{ loop.changed(a > 1) }};{% endfor %}"
T['recursive'] = "{% for a in [[1, [2]], [3]] recursive %}{{ loop(a) if a is not number else a }}{{ loop.depth }}{% endfor %}"
T['unpack'] = "{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}{% set a, b = 1, 2 %}{{ a + b }}"
T['forif'] = "{% for m in messages if m.role != 'user' %}{{ loop.index }}{{ m.role }}{% else %}none{% endfor %}"
T['call'] = "{% macro box(t) %}[{{ t }}:{{ caller('z') }}]{% endmacro %}{% call(x) box('a') %}in {{ x }}{% endcall %}"
T['with'] = "{% with a = 1, b = 'q' %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}"
T['raw'] = "{% raw %}{{ not }} {% this %}{% endraw %}|{{ '{{' }}"
T['strip2'] = "{{ 'xxaxx'.strip('x') }}|{{ 'a\u00a0 '.strip() }}|{{ ' a  b c '.split() }}|{{ ' a  b c '.rsplit(none, 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ 'a\nb\r\nc\n'.splitlines() }}"
T['part'] = "{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'abc'.partition('=') }}{{ 'abc'.rpartition('=') }}"
T['fmt'] = "{{ '%s is %d, %5.2f %% %r' % ('a', 3, 2.5, 'q') }}|{{ '{} and {1} {x}'.replace('{1}', '{}').format(1, 'b', x=none) }}|{{ '%s' | format('z') }}"
T['title'] = "{{ 'hello big-world it\\'s'.title() }} {{ 'hello big-world' | title }} {{ 'hELLO wORLD' | capitalize }} {{ 'aBc'.swapcase() }} {{ 'x'.center(4, '.') }} {{ 'xy'.center(5, '.') }} {{ '7'.zfill(3) }} {{ 'a'.ljust(3) }}|{{ 'a'.rjust(3) }}"
T['find'] = "{{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('z') }} {{ 'é中a'.find('a') }} {{ 'abcabc'.count('bc') }} {{ 'abc'.index('b') }}"
T['is'] = "{{ 'A1'.isalnum() }}{{ '12'.isdigit() }}{{ 'ab'.isalpha() }}{{ ' '.isspace() }}{{ 'AB'.isupper() }}{{ 'aB'.islower() }}{{ ''.isdigit() }}"
T['num'] = "{{ 3.0 }} {{ 1e20 }} {{ 1.5e-7 }} {{ 10 / 4 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ -7.5 // 2 }} {{ 2 ** -1 }} {{ 5 | float }} {{ '12abc' | int(7) }} {{ ' 42 ' | int }} {{ 3.7 | int }} {{ 2.5 | round }} {{ 3.14159 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ -3 | abs }}"
T['sort'] = "{{ ['b', 'A', 'c'] | sort }} {{ [3, 1, 2] | sort(reverse=true) }} {{ ['b', 'A', 'B'] | unique | list }} {{ [1, 2, 3] | sum }} {{ [3, 1] | min }} {{ [3, 1] | max }} {{ messages | sort(attribute='role') | map(attribute='role') | list }}"
T['indent'] = "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\nb' | indent('> ') }}"
T['lists'] = "{{ (1, 2) + (3,) }} {{ [1, [2, 'x']] }} {{ [1, 2, 3][-1] }} {{ [1, 2, 3][5] is defined }} {{ [0] * 3 }} {{ [1, 2] == [1, 2] }} {{ (1, 2) == [1, 2] }} {{ [1, 2] | first }}{{ [1, 2] | last }} {{ 'abc' | list }} {{ [1, 2, 3] | reverse | list }} {{ 'abc' | reverse }}"
T['dicts'] = "{{ {'a': 1}.get('b') }} {{ {'a': 1}.keys() | list }} {{ {'a': 1}.values() | list }} {{ dict(b=1, a=2) }} {{ {'a': {'b': 2}}.a.b }} {{ {1: 'x', true: 'y', none: 'z'} }} {{ {'items': 5}['items'] }}"
T['jsons'] = "{{ {'a': 1.0, 'b': none, 'c': [true, false], 'd': 'é\n\t\"'} | tojson }} {{ [] | tojson }} {{ {} | tojson(indent=2) }} {{ [1, {'b': 2, 'a': 3}] | tojson(indent=2, sort_keys=true) }} {{ 'é😀' | tojson(ensure_ascii=true) }} {{ [1, 2] | tojson(separators=(',', ':')) }}"
T['reprs'] = "{{ ['it\\'s', 'say \"x\"', 'both \\'\"', 'tab\t', 'é', '\x00', '\u200b', none, true, 1.0] }}"
T['none'] = "{{ none }} {{ none is none }} {{ none | default('d') }} {{ none | default('d', true) }} {{ '' or 'x' }} {{ none or 0 or [] }} {{ 'a' and 'b' }}"
T['logic'] = "{{ not false and true }} {{ 1 if 0 else 2 if 0 else 3 }} {{ (1, 2) | length }} {{ 'a' ~ 'b' | upper }} {{ -2 | abs }} {{ 2 * 3 ** 2 }} {{ not 1 == 2 }} {{ 1 == 1 is true }} {{ 5 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 'a' is in ['a'] }} {{ 3 is ge 2 }}"
T['lstrip'] = "x\n    {%+ if true %}\n  a\n    {%+ endif +%}\nb\n  {# c #}\n  {{ 'v' }}\n\t{% set q = 1 %} tail\n"
T['namespace'] = "{% set ns = namespace(a=[], b={'k': 1}) %}{% for m in messages %}{% set ns.a = ns.a + [m.role] %}{% endfor %}{{ ns.a }}{{ ns.b.k }}{{ ns.c is defined }}"
T['strings'] = "{{ 'a' 'b' }} {{ \"q\\n\" }} {{ 'a\\\\b' }} {{ 'tab\\tq' }} {{ 'A\\u00e9' }} {{ 'x' in 'xyz' }} {{ 'ab' * 2 }} {{ 'a' < 'B' }} {{ 'straße'.upper() }}"
T['attr'] = "{{ messages[0]['role'] }}{{ messages[0].role }}{{ messages.0.role }}{{ messages[0] | attr('role') is defined }}{{ (messages | first).content }}"
T['rejects'] = "{{ [1, 2, 3, 4] | select('odd') | list }}{{ [1, none, 2] | reject('none') | list }}{{ [0, 1] | select | list }}{{ messages | selectattr('tool_calls') | list | length }}{{ messages | selectattr('tool_calls', 'defined') | list | length }}{{ ['a', 'b'] | map('upper') | join }}"
T['jointests'] = "{{ [1, 'a', none] | join('-') }} {{ 'a b  c' | wordcount }} {{ '<b>&' | escape }} {{ [] | join }} {{ messages | map(attribute='name', default='nobody') | unique | join(',') }}"
T['slices'] = "{{ [1,2,3,4][::2] }} {{ [1,2,3,4][-2:] }} {{ [1,2,3][10:] }} {{ 'abcdef'[-3:-1] }} {{ [1,2,3][:-1] }} {{ [1,2,3][::-1] }} {{ 'é中😀x'[1:3] }}"
T['comments'] = "a {#- c -#} b{# x\ny #}\nc {%- set x = 1 -%}   d"
T['range'] = "{% for i in range(3) %}{{ i }}{% endfor %}{{ range(1, 10, 3) | list }} {{ range(3, 0, -1) | list }}"
T['replace'] = "{{ 'aaa' | replace('a', 'b') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 'aaa'.replace('a', 'b', 1) }} {{ 'abc'.removeprefix('a').removesuffix('c') }}"
T['gen2'] = "{% for m in messages %}{% if m.role == 'assistant' %}{% set c %}x{% endset %}<a>{% generation %}{{ c }}{{ m.content }}{% endgeneration %}</a>{% endif %}{% endfor %}"
T['do'] = "{% set a = 1 %}{% if a %}{% set a = 2 %}{{ a }}{% endif %}{% for x in [1] %}{{ a }}{% set a = 9 %}{{ a }}{% endfor %}{{ a }}"
T['raise'] = "{{ raise_exception('roles must alternate') }}"
T['undefined attribute'] = "{{ foo.bar }}"
T['undefined arithmetic'] = "{{ foo + 1 }}"
T['concat none'] = "{{ 'a' + none }}"
T['append'] = "{{ messages.append(1) }}"
T['underscore'] = "{{ ''.__class__ }}"
T['include'] = "{% include 'x' %}"
T['unknown filter'] = "{{ 'a' | nosuch }}"
T['unclosed'] = "{% if true %}a"
T['zero'] = "{{ 1 // 0 }}"
msgs=[{"role":"system","content":"sys "},{"role":"user","content":" hi\n"},{"role":"assistant","content":"yo"},{"role":"user","content":"q"},{"role":"assistant","content":"bye"}]
tools=[{"type":"function","function":{"name":"get","description":"Get <it>","parameters":{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"integer"}},"required":["zeta"]}}}]

cases = []
for name, source in T.items():
    case = {"name": name, "source": source}
    try:
        template = _compile_jinja_template(source)
        if "{% generation %}" in source:
            case["want"], marked = _render_with_assistant_indices(template, msgs, tools, None, True, bos_token="<s>", eos_token="</s>")
            case["generated"] = [case["want"][a:b] for a, b in marked]
        else:
            case["want"] = template.render(messages=msgs, tools=tools, add_generation_prompt=True, bos_token="<s>", eos_token="</s>")
    except Exception as e:
        case["error"] = type(e).__name__
    cases.append(case)
json.dump({"messages": msgs, "tools": tools, "cases": cases}, open("golden.json", "w"), ensure_ascii=False, indent=1)
