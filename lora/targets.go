package lora

// DefaultTargets are the layers of a Llama, and of the families whose layers have the same
// names, that are adapted unless told otherwise.
var DefaultTargets = []string{"q_proj", "k_proj", "v_proj", "up_proj", "down_proj"}

// AllLinear as the only target is every linear layer of the blocks, as in PEFT.
const AllLinear = "all-linear"

// targets lists the layers of the other families that are adapted unless told
// otherwise. In GPT-2 c_attn makes queries, keys and values at once, c_fc is what
// up_proj is in a Llama, and c_proj is two layers by one name, the ends of attention
// and of feed-forward, so that these three names are all linear layers of a block.
// PEFT itself, told nothing, takes c_attn alone. The others have the layers that the
// default is in a Llama, under the names that they have where products are fused.
var targets = map[string][]string{
	"glm":      {"q_proj", "k_proj", "v_proj", "gate_up_proj", "down_proj"},
	"glm4":     {"q_proj", "k_proj", "v_proj", "gate_up_proj", "down_proj"},
	"gpt2":     {"c_attn", "c_fc", "c_proj"},
	"gpt_neox": {"query_key_value", "dense_h_to_4h", "dense_4h_to_h"},
	"phi3":     {"qkv_proj", "gate_up_proj", "down_proj"},
}

// TargetsFor returns the layers that are adapted in a family of models, named by
// its model_type, unless told otherwise.
func TargetsFor(modelType string) []string {
	if names, ok := targets[modelType]; ok {
		return names
	}
	return DefaultTargets
}
