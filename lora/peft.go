package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
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

// Save writes adapter_config.json and adapter_model.safetensors (float32) to a
// folder, which is made if need be. The name of the base is recorded as PEFT
// does. An adapter that changes the base is saved as it is, for the base as it was: what
// reads it changes the base again, here as in PEFT; see [Adapter.Plain].
func (ad *Adapter) Save(dir, base string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	keys := ad.Config.keys()
	maps.Copy(keys, map[string]any{
		"base_model_name_or_path": base, "fan_in_fan_out": ad.conv1D(), "inference_mode": true, "peft_type": "LORA", "task_type": "CAUSAL_LM",
	})
	raw, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	if err := hf.WriteFile(filepath.Join(dir, weightsFile), ad.tensors(), hf.F32); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	if err := disk.WriteBytes(filepath.Join(dir, configFile), append(raw, '\n')); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	return nil
}

// keys are the config's keys in PEFT's file. Options that are off are left to PEFT's
// defaults, but for those that files of any version have.
func (c Config) keys() map[string]any {
	all := map[string]any{"bias": "none", "init_lora_weights": true, "use_dora": false, "layers_to_transform": nil}
	v := reflect.ValueOf(c)
	for _, f := range reflect.VisibleFields(v.Type()) {
		value, key := v.FieldByIndex(f.Index), f.Tag.Get("json")
		switch list, is := value.Interface().([]string); {
		case value.IsZero() && strings.HasSuffix(f.Tag.Get("yaml"), ",omitempty"):
		case is && len(list) == 1 && isExpression(list[0]):
			all[key] = list[0]
		case is:
			all[key] = slices.Sorted(slices.Values(list))
		case key == "init_lora_weights" && (c.Init == "true" || c.Init == "false"):
			all[key] = c.Init == "true"
		default:
			all[key] = value.Interface()
		}
	}
	return all
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

func load(src fs.FS, m *model.Model) (*Adapter, error) {
	c, fanInFanOut, err := parseConfig(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	ad, err := empty(c, m, checkReadRank, true)
	if err != nil {
		return nil, fmt.Errorf("%s does not fit the model: %w", configFile, err)
	}
	err = ad.fill(src, fanInFanOut)
	if err != nil {
		ad.Release()
		return nil, err
	}
	return ad, nil
}

// fill changes the base as the adapter did in the beginning, and reads the adapter.
func (ad *Adapter) fill(src fs.FS, fanInFanOut bool) error {
	// For Conv1D PEFT sets it itself; where it is false in a file it was not said.
	if fanInFanOut && !ad.conv1D() {
		return fmt.Errorf("%s: key \"fan_in_fan_out\" is true, but the model's weights are stored as [out, in]", configFile)
	}
	if err := ad.read(src); err != nil {
		return err
	}
	return ad.takeFromBase()
}

// Checkpoint is Save, whose files hold all that Restore needs.
func (ad *Adapter) Checkpoint(dir, base string) error { return ad.Save(dir, base) }

// Restore reads what is trained from the file of an adapter that was saved by this one or
// one like it. The name is for messages.
func (ad *Adapter) Restore(src fs.FS, name string) error {
	if err := ad.read(src); err != nil {
		return fmt.Errorf("adapter %s: %w", name, err)
	}
	return nil
}

// read copies the tensors of adapter_model.safetensors into the parameters.
func (ad *Adapter) read(src fs.FS) error {
	if _, err := fs.Stat(src, weightsFile); err != nil {
		return fmt.Errorf("the folder has no %s: %w", weightsFile, err)
	}
	tensors, err := hf.ReadFS(src, weightsFile, weightsFile)
	if err != nil {
		return err
	}
	for _, p := range ad.Parameters() {
		key := ad.key(p.Name)
		if _, ok := tensors[key]; !ok && tensors[prefix+p.Name].Data != nil {
			key = prefix + p.Name // as older versions of PEFT name biases
		}
		t, ok := tensors[key]
		switch {
		case !ok:
			return fmt.Errorf("%s has no tensor %s%s", weightsFile, key, ad.strangers(tensors))
		case !slices.Equal(t.Shape, p.Shape):
			return fmt.Errorf("tensor %s has shape %v, its config and the model ask for %v: it was made for another base, or its config was changed", key, t.Shape, p.Shape)
		}
		if v, bad := t.NotFinite(); bad {
			return fmt.Errorf("tensor %s holds %g: the adapter is damaged, or its training diverged", key, v)
		}
		if alias := ad.alias(p.Name); alias != "" {
			if other, ok := tensors[alias]; ok && !slices.Equal(other.Data, t.Data) {
				return fmt.Errorf("tensors %s and %s differ, but \"ensure_weight_tying\" says that they are one", key, alias)
			}
			delete(tensors, alias)
		}
		copy(p.Value, t.Data)
		delete(tensors, key)
	}
	if len(tensors) > 0 {
		left := slices.Sorted(maps.Keys(tensors))
		return fmt.Errorf("%s has %d tensors that match nothing in the model, the first is %s", weightsFile, len(left), left[0])
	}
	return nil
}

// strangers tells of tensors in a file that belong to no parameter, or is "": where one is
// missing they are what it may be called there.
func (ad *Adapter) strangers(tensors map[string]hf.Tensor) string {
	left := maps.Clone(tensors)
	for _, p := range ad.Parameters() {
		for _, key := range []string{ad.key(p.Name), prefix + p.Name, ad.alias(p.Name)} {
			delete(left, key)
		}
	}
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d that match nothing in the model, the first is %s", len(left), slices.Min(slices.Collect(maps.Keys(left))))
}

// inert lists keys of adapter_config.json that do not change the adapter.
var inert = map[string]bool{
	"base_model_name_or_path": true, "inference_mode": true, "task_type": true, "revision": true, "auto_mapping": true,
	"peft_version": true, "runtime_config": true, "loftq_config": true, "eva_config": true,
	"corda_config": true, "lora_ga_config": true, "qalora_group_size": true, "megatron_core": true,
}

// plainInits are further ways to initialise an adapter that leave the base as it is, so
// that a file with them is read as any other. The rest (CorDA, LoftQ, LoRA-GA) move a part
// of the base's weights into the adapter, by data that is not there.
var plainInits = []string{"eva", "orthogonal", "mica"}

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
	// First, since keys of other kinds mean nothing here.
	if kind := oneLine(keys["peft_type"]); kind != "" && kind != `"LORA"` {
		return c, false, fmt.Errorf("key \"peft_type\": it is %s, not \"LORA\"", kind)
	}
	fields := make(map[string]reflect.Value)
	v := reflect.ValueOf(&c).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		fields[f.Tag.Get("json")] = v.FieldByIndex(f.Index)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := oneLine(keys[key])
		field, ours := fields[key]
		var err error
		switch {
		case ours:
			err = decode(key, keys[key], field)
		case key == "fan_in_fan_out":
			err = json.Unmarshal(keys[key], &fanInFanOut)
		case key != "peft_type" && !inert[key] && !off(value):
			err = fmt.Errorf("it is %s, which would change the adapter and is not supported", value)
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
	if slices.Contains(plainInits, c.Init) {
		c.Init = ""
	}
	if _, _, err := c.init(); err != nil {
		return c, false, fmt.Errorf("key \"init_lora_weights\": %w", err)
	}
	return c, fanInFanOut, nil
}

// oneLine is a value without the line breaks that PEFT writes into lists, for messages.
func oneLine(value json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, value) != nil { // there is none
		return ""
	}
	return b.String()
}

// decode reads the value of a key as PEFT understands it: a list may be one element of it,
// null is what is off, and a choice of names may be true or false.
func decode(key string, raw json.RawMessage, field reflect.Value) error {
	if string(raw) == "null" {
		return nil
	}
	switch into := field.Addr().Interface().(type) {
	case *[]int:
		var err error
		*into, err = layerList(raw)
		return err
	case *[]string:
		var one string
		if json.Unmarshal(raw, &one) != nil {
			if json.Unmarshal(raw, into) != nil {
				return fmt.Errorf("it is %s; it must be a list of names or a regular expression", raw)
			}
			if len(*into) == 0 {
				*into = nil
			}
			if key != "layers_pattern" { // of which the first that matches counts
				slices.Sort(*into)
			}
			return nil
		}
		switch {
		case one == "":
			return nil
		case key == "layers_pattern", isExpression(one), strings.EqualFold(one, AllLinear):
		default:
			one = "(" + one + ")" // a text is a regular expression, even if it looks like a name
		}
		*into = []string{one}
		return nil
	case *string:
		if text := string(raw); text == "true" || text == "false" {
			*into = text
			return nil
		}
	}
	return json.Unmarshal(raw, field.Addr().Interface())
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

// conv1D reports whether the adapted weights are stored as [in, out], which PEFT
// calls fan_in_fan_out.
func (ad *Adapter) conv1D() bool { return ad.layers[ad.modules[0]].Conv1D }

// off reports values that switch an option off.
func off(value string) bool {
	return slices.Contains([]string{"null", "false", "{}", "[]", `""`, "0"}, value)
}
