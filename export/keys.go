package export

import (
	"encoding/json"
	"fmt"
)

// keys are those of a config.json, whose spelling differs from family to family and
// between transformers 4 and 5.
type keys map[string]json.RawMessage

func parseKeys(raw []byte) (keys, error) {
	var k keys
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, fmt.Errorf("config.json: not a JSON object: %w", err)
	}
	return k, nil
}

// has reports whether one of the names has a value, and reads the first that has.
func (k keys) has(into any, names ...string) bool {
	for _, name := range names {
		if raw := k[name]; len(raw) > 0 && string(raw) != "null" {
			return json.Unmarshal(raw, into) == nil
		}
	}
	return false
}

// whole returns a count, or 0.
func (k keys) whole(names ...string) int {
	var v float64
	k.has(&v, names...)
	return int(v)
}

// number returns a number, or what it is without the key.
func (k keys) number(without float64, names ...string) float64 {
	v := without
	if !k.has(&v, names...) {
		return without
	}
	return v
}

func (k keys) text(name string) string {
	var v string
	k.has(&v, name)
	return v
}

// flag returns a truth value, or what it is without the key.
func (k keys) flag(without bool, name string) bool {
	v := without
	if !k.has(&v, name) {
		return without
	}
	return v
}

// heads returns the numbers of query heads and of key and value heads, and their width.
func (k keys) heads() (heads, kv, width int) {
	heads = k.whole("num_attention_heads", "n_head")
	if kv = k.whole("num_key_value_heads"); kv == 0 {
		kv = heads
	}
	if width = k.whole("head_dim"); width == 0 && heads > 0 {
		width = k.whole("hidden_size", "n_embd") / heads
	}
	return heads, kv, width
}

// rope returns the parameters of the rotary embedding as transformers 5 spells them, and
// those of the layers that see a window alone where they are others (Gemma 3).
func (k keys) rope() (full, window keys) {
	var p keys
	if k.has(&p, "rope_parameters") {
		if p.has(&full, "full_attention") {
			p.has(&window, "sliding_attention")
			return full, window
		}
		full = p
	} else if !k.has(&full, "rope_scaling") {
		full = keys{}
	}
	for name, other := range map[string]string{
		"rope_theta": "rope_theta", "partial_rotary_factor": "partial_rotary_factor", "rope_type": "type",
		"original_max_position_embeddings": "original_max_position_embeddings",
	} {
		for _, from := range []keys{full, k} {
			if full[name] == nil && from[other] != nil {
				full[name] = from[other]
			}
		}
	}
	for name, other := range map[string]string{"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"} { // GPT-NeoX
		if full[name] == nil && k[other] != nil {
			full[name] = k[other]
		}
	}
	if k["rope_local_base_freq"] != nil {
		window = keys{"rope_theta": k["rope_local_base_freq"]}
	}
	return full, window
}
