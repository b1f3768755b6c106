package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/model"
)

// The names of PEFT's files and the prefix of its keys.
const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
	prefix      = "base_model.model."
)

// peftConfig is what Save writes; PEFT fills in the rest with its defaults.
type peftConfig struct {
	BaseModel     string   `json:"base_model_name_or_path"`
	Bias          string   `json:"bias"`
	FanInFanOut   bool     `json:"fan_in_fan_out"`
	InferenceMode bool     `json:"inference_mode"`
	InitWeights   bool     `json:"init_lora_weights"`
	Layers        []int    `json:"layers_to_transform"`
	Alpha         float64  `json:"lora_alpha"`
	Dropout       float64  `json:"lora_dropout"`
	PEFTType      string   `json:"peft_type"`
	Rank          int      `json:"r"`
	Targets       []string `json:"target_modules"`
	TaskType      string   `json:"task_type"`
	UseDoRA       bool     `json:"use_dora"`
	UseRSLoRA     bool     `json:"use_rslora"`
}

// Save writes adapter_config.json and adapter_model.safetensors (float32) to a
// folder, which is made if need be. The name of the base is recorded as PEFT
// does.
func (ad *Adapter) Save(dir, base string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	tensors := make(map[string]hf.Tensor)
	for _, p := range ad.Parameters() {
		tensors[prefix+p.Name] = hf.Tensor{Shape: p.Shape, Data: p.Value}
	}
	c := peftConfig{
		BaseModel: base, Bias: "none", InferenceMode: true, InitWeights: true, Alpha: ad.Config.Alpha,
		Dropout: ad.Config.Dropout, PEFTType: "LORA", Rank: ad.Config.Rank,
		Targets: slices.Sorted(slices.Values(ad.Config.Targets)), TaskType: "CAUSAL_LM",
		UseRSLoRA: ad.Config.RSLoRA, Layers: ad.Config.Layers, FanInFanOut: ad.conv1D(),
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	if err := hf.WriteFile(filepath.Join(dir, weightsFile), tensors, hf.F32); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	if err := disk.WriteBytes(filepath.Join(dir, configFile), append(raw, '\n')); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	return nil
}

// Load reads an adapter in PEFT's files for a model. The name is for messages.
// An option that would change the adapter and is not supported, a key that
// matches nothing, and a base of another shape are errors.
func Load(src fs.FS, name string, m *model.Model) (*Adapter, error) {
	ad, err := load(src, m)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", name, err)
	}
	return ad, nil
}

// conv1D reports whether the adapted weights are stored as [in, out], which PEFT
// calls fan_in_fan_out.
func (ad *Adapter) conv1D() bool { return ad.layers[ad.modules[0]].Conv1D }

func load(src fs.FS, m *model.Model) (*Adapter, error) {
	c, fanInFanOut, err := parseConfig(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	ad, err := empty(c, m)
	if err != nil {
		return nil, fmt.Errorf("%s does not fit the model: %w", configFile, err)
	}
	// For Conv1D PEFT sets it itself; where it is false in a file it was not said.
	if fanInFanOut && !ad.conv1D() {
		return nil, fmt.Errorf("%s: key \"fan_in_fan_out\" is true, but the model's weights are stored as [out, in]", configFile)
	}
	if _, err := fs.Stat(src, weightsFile); err != nil {
		return nil, fmt.Errorf("the folder has no %s: %w", weightsFile, err)
	}
	tensors, err := hf.ReadFS(src, weightsFile, weightsFile)
	if err != nil {
		return nil, err
	}
	for _, p := range ad.Parameters() {
		key := prefix + p.Name
		t, ok := tensors[key]
		switch {
		case !ok:
			return nil, fmt.Errorf("%s has no tensor %s", weightsFile, key)
		case !slices.Equal(t.Shape, p.Shape):
			return nil, fmt.Errorf("tensor %s has shape %v, its config and the model ask for %v: it was made for another base, or its config was changed", key, t.Shape, p.Shape)
		}
		copy(p.Value, t.Data)
		delete(tensors, key)
	}
	if len(tensors) > 0 {
		left := slices.Sorted(maps.Keys(tensors))
		return nil, fmt.Errorf("%s has %d tensors that match nothing in the model, the first is %s", weightsFile, len(left), left[0])
	}
	return ad, nil
}

// inert lists keys of adapter_config.json that do not change the adapter.
var inert = map[string]bool{
	"base_model_name_or_path": true, "inference_mode": true, "task_type": true, "revision": true, "auto_mapping": true,
	"peft_version": true, "runtime_config": true, "loftq_config": true, "eva_config": true,
	"corda_config": true, "lora_ga_config": true, "ensure_weight_tying": true, "qalora_group_size": true,
	"megatron_core": true,
}

// listNames are the names that the families give to the list of their blocks.
// Without layers_pattern PEFT takes the first number in a module's name.
var listNames = []string{"null", `""`, "[]", `"layers"`, `["layers"]`, `"h"`, `["h"]`}

// plainInits are the ways to initialise an adapter that leave the base as it is.
// The others (PiSSA, OLoRA, CorDA, LoftQ, …) move a part of the base's weights
// into the adapter, so that it fits the changed base only.
var plainInits = []string{"true", "false", "null", `"gaussian"`, `"eva"`, `"orthogonal"`}

// ReadConfig reads what Load makes an adapter from, without its weights. The name
// is for messages.
func ReadConfig(src fs.FS, name string) (Config, error) {
	c, _, err := parseConfig(src)
	if err != nil {
		return c, fmt.Errorf("adapter %s: %s: %w", name, configFile, err)
	}
	return c, nil
}

// parseConfig reads adapter_config.json. fanInFanOut says that the base's weights
// are stored as [in, out].
func parseConfig(src fs.FS) (c Config, fanInFanOut bool, err error) {
	raw, err := fs.ReadFile(src, configFile)
	if err != nil {
		return c, false, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return c, false, fmt.Errorf("not a JSON object: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := strings.TrimSpace(string(keys[key]))
		var err error
		switch key {
		case "r":
			err = json.Unmarshal(keys[key], &c.Rank)
		case "lora_alpha":
			err = json.Unmarshal(keys[key], &c.Alpha)
		case "lora_dropout":
			err = json.Unmarshal(keys[key], &c.Dropout)
		case "target_modules":
			if json.Unmarshal(keys[key], &c.Targets) != nil {
				err = fmt.Errorf("it is %s, which is not supported (supported: a list of names)", value)
			}
		case "fan_in_fan_out":
			err = json.Unmarshal(keys[key], &fanInFanOut)
		case "use_rslora":
			err = json.Unmarshal(keys[key], &c.RSLoRA)
		case "layers_to_transform":
			c.Layers, err = layerList(keys[key])
		case "layers_pattern":
			if !slices.Contains(listNames, strings.Join(strings.Fields(value), "")) {
				err = fmt.Errorf("it is %s, which is not supported (supported: %s)", value, strings.Join(listNames, ", "))
			}
		case "init_lora_weights":
			if !slices.Contains(plainInits, value) {
				err = fmt.Errorf("it is %s, which changes the base's own weights and is not supported (supported: %s)", value, strings.Join(plainInits, ", "))
			}
		case "peft_type":
			if value != `"LORA"` {
				err = fmt.Errorf("it is %s, which is not supported (supported: \"LORA\")", value)
			}
		case "bias":
			if value != `"none"` {
				err = fmt.Errorf("it is %s, which is not supported (supported: \"none\")", value)
			}
		default:
			if !inert[key] && !off(value) {
				err = fmt.Errorf("it is %s, which would change the adapter and is not supported", value)
			}
		}
		if err != nil {
			return c, false, fmt.Errorf("key %q: %w", key, err)
		}
	}
	if keys["r"] == nil || c.Targets == nil {
		return c, false, errors.New(`the keys "r" and "target_modules" are needed`)
	}
	if keys["lora_alpha"] == nil {
		c.Alpha = 8 // PEFT's default
	}
	slices.Sort(c.Targets)
	return c, fanInFanOut, nil
}

// layerList reads layers_to_transform: null, a number or a list of numbers. An
// empty list is all layers, as in PEFT.
func layerList(raw json.RawMessage) ([]int, error) {
	var one *int
	if json.Unmarshal(raw, &one) == nil {
		if one == nil {
			return nil, nil
		}
		return []int{*one}, nil
	}
	var list []int
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("it is %s; it must be a number or a list of numbers", raw)
	}
	if len(list) == 0 {
		return nil, nil
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// off reports values that switch an option off.
func off(value string) bool {
	return slices.Contains([]string{"null", "false", "{}", "[]", `""`, "0"}, value)
}
